use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use bytes::Bytes;
use functions::{
    Deployed, Error, LayerError, LayerRef, LayerVersion, NewLayerVersion, Principal, Statement,
};
use model::FunctionRef;

use crate::world::{World, function, new, new_code, zip};

fn layer(account: &str, name: &str) -> LayerRef {
    LayerRef {
        account: account.parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn new_version(layer: &LayerRef, zip: Bytes) -> NewLayerVersion {
    NewLayerVersion {
        layer: layer.clone(),
        zip,
        description: "d".to_owned(),
        license: None,
        runtimes: Some(vec!["python3.13".to_owned()]),
        architectures: None,
    }
}

impl World {
    async fn publish_layer(&self, name: &str, files: &[(&str, &str)]) -> Arc<LayerVersion> {
        let new = new_version(&layer("000000000000", name), zip(files));
        self.functions.publish_layer_version(new).await.unwrap()
    }

    async fn create_with(&self, name: &str, layers: &[&str]) -> Result<Arc<Deployed>, Error> {
        let mut new = new(name, zip(&[("a.py", "1")]));
        new.config.layers = layers.iter().map(|arn| (*arn).to_owned()).collect();
        self.functions.create(new).await
    }

    async fn set_layers(&self, f: &FunctionRef, layers: &[&str]) -> Result<Arc<Deployed>, Error> {
        let layers = layers.iter().map(|arn| (*arn).to_owned()).collect();
        self.functions
            .update_configuration(f, None, move |config| {
                config.layers = layers;
                Ok(())
            })
            .await
    }
}

fn read(deployed: &Deployed, path: &str) -> Option<String> {
    std::fs::read_to_string(deployed.opt_dir()?.join(path)).ok()
}

#[tokio::test]
async fn the_numbers_of_versions_are_never_used_again() {
    let w = World::new().await;
    let l = layer("000000000000", "l");
    for number in 1..=2 {
        assert_eq!(w.publish_layer("l", &[("a", "1")]).await.number, number);
    }
    w.functions.delete_layer_version(&l, 2).await.unwrap();
    w.functions.delete_layer_version(&l, 2).await.unwrap();
    w.functions.delete_layer_version(&l, 1).await.unwrap();
    assert!(w.functions.layer_versions(&l).is_empty());
    let w = w.cut_off().await;
    let third = w.publish_layer("l", &[("a", "1")]).await;
    assert_eq!(
        third.arn(),
        "arn:aws:lambda:us-east-1:000000000000:layer:l:3"
    );
}

#[tokio::test]
async fn a_version_survives_a_power_cut_as_it_was_told() {
    let w = World::new().await;
    let told = w.publish_layer("l", &[("a", "1")]).await;
    let w = w.cut_off().await;
    let kept = w.functions.layer_version(&told.layer, 1).unwrap();
    assert_eq!(kept.description, told.description);
    assert_eq!(kept.runtimes, told.runtimes);
    assert_eq!(kept.created, told.created);
    assert_eq!(kept.code.sha256(), told.code.sha256());
    assert_eq!(kept.code.bytes(), told.code.bytes());
}

#[tokio::test]
async fn later_layers_override_earlier_ones() {
    let w = World::new().await;
    let low = w
        .publish_layer("low", &[("both", "low"), ("d/low", "1"), ("x/y", "folder")])
        .await;
    let high = w
        .publish_layer("high", &[("both", "high"), ("d/high", "2"), ("x", "file")])
        .await;
    let up = w
        .create_with("f", &[&low.arn(), &high.arn()])
        .await
        .unwrap();
    let down = w
        .create_with("g", &[&high.arn(), &low.arn()])
        .await
        .unwrap();
    for (deployed, both, x, y) in [
        (&up, "high", Some("file"), None),
        (&down, "low", None, Some("folder")),
    ] {
        assert_eq!(read(deployed, "both").as_deref(), Some(both));
        assert_eq!(read(deployed, "d/low").as_deref(), Some("1"));
        assert_eq!(read(deployed, "d/high").as_deref(), Some("2"));
        assert_eq!(read(deployed, "x").as_deref(), x);
        assert_eq!(read(deployed, "x/y").as_deref(), y);
    }
    let inode = |d: &Deployed, path: &str| {
        let path = d.opt_dir().unwrap().join(path);
        std::fs::metadata(path).unwrap().ino()
    };
    assert_eq!(inode(&up, "d/low"), inode(&down, "d/low"), "one file");
    let same = w
        .create_with("h", &[&low.arn(), &high.arn()])
        .await
        .unwrap();
    assert_eq!(same.opt_dir(), up.opt_dir(), "merged once");
    let single = w.create_with("i", &[&low.arn()]).await.unwrap();
    assert_eq!(single.opt_dir(), low.code.dir(), "one layer needs no merge");
}

#[tokio::test]
async fn a_link_below_another_layer_is_replaced_and_never_followed() {
    use zip::write::SimpleFileOptions;
    let w = World::new().await;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    writer
        .start_file("real/a", options.unix_permissions(0o755))
        .unwrap();
    writer.add_symlink("d", "real", options).unwrap();
    let linked = writer.finish().unwrap().into_inner().into();
    let linked = new_version(&layer("000000000000", "linked"), linked);
    let linked = w.functions.publish_layer_version(linked).await.unwrap();
    let over = w.publish_layer("over", &[("d/a", "over")]).await;
    let f = w
        .create_with("f", &[&linked.arn(), &over.arn()])
        .await
        .unwrap();
    assert_eq!(read(&f, "d/a").as_deref(), Some("over"));
    assert_eq!(read(&f, "real/a").as_deref(), Some(""));
    let program = f.opt_dir().unwrap().join("real/a");
    let mode = std::fs::metadata(program).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let g = w
        .create_with("g", &[&over.arn(), &linked.arn()])
        .await
        .unwrap();
    let link = g.opt_dir().unwrap().join("d");
    assert!(link.symlink_metadata().unwrap().is_symlink());
}

#[tokio::test]
async fn a_deleted_layer_goes_on_working_for_its_functions() {
    let w = World::new().await;
    let a = w.publish_layer("a", &[("a", "1")]).await;
    let b = w.publish_layer("b", &[("b", "2")]).await;
    w.create_with("f", &[&a.arn(), &b.arn()]).await.unwrap();
    w.settle("f").await;
    let f = function("f");
    w.publish(&f).await;
    w.set_layers(&f, &[]).await.unwrap();
    w.settle("f").await;
    for l in [&a, &b] {
        w.functions.delete_layer_version(&l.layer, 1).await.unwrap();
    }
    let (a_arn, a_digest) = (a.arn(), a.code.digest().to_string());
    drop((a, b));
    w.functions.sweep_code().await.unwrap();
    let w = w.killed().await;
    w.functions.sweep_code().await.unwrap();
    let version = FunctionRef {
        qualifier: Some("1".parse().unwrap()),
        ..f.clone()
    };
    let one = w.functions.resolve(&version).unwrap();
    assert_eq!(read(&one, "a").as_deref(), Some("1"));
    assert_eq!(read(&one, "b").as_deref(), Some("2"));
    assert!(w.functions.zip(&a_digest).await.is_ok());
    let again = w.set_layers(&f, &[&a_arn]).await;
    assert!(
        matches!(&again, Err(Error::Layers(LayerError::Missing { arn })) if *arn == a_arn),
        "{again:?}"
    );
    drop(one);
    w.functions.delete(&f).await.unwrap();
    // The code, two layers and their merge.
    assert_eq!(w.functions.sweep_code().await.unwrap(), 4);
    assert!(w.functions.zip(&a_digest).await.is_err());
}

#[tokio::test]
async fn layers_that_cannot_be_used_are_refused() {
    let w = World::new().await;
    let one = w.publish_layer("l", &[("a", "1")]).await.arn();
    let two = w.publish_layer("l", &[("a", "2")]).await.arn();
    let elsewhere = one.replace("us-east-1", "eu-west-1");
    let foreign = one.replace("000000000000", "111111111111");
    let gone = one.replace(":l:1", ":l:9");
    for (layers, why) in [
        (
            vec![&one, &two],
            LayerError::Twice {
                first: one.clone(),
                second: two.clone(),
            },
        ),
        (
            vec![&one, &one],
            LayerError::Twice {
                first: one.clone(),
                second: one.clone(),
            },
        ),
        (
            vec![&elsewhere],
            LayerError::OtherRegion {
                expected: "us-east-1".to_owned(),
            },
        ),
        (
            vec![&foreign],
            LayerError::Denied {
                arn: foreign.clone(),
            },
        ),
        (vec![&gone], LayerError::Missing { arn: gone.clone() }),
    ] {
        let layers: Vec<&str> = layers.into_iter().map(String::as_str).collect();
        match w.create_with("f", &layers).await {
            Err(Error::Layers(found)) => assert_eq!(found, why),
            other => panic!("{layers:?}: {other:?}"),
        }
    }
    assert!(!w.functions.exists(&function("f")));
}

#[tokio::test]
async fn another_account_needs_the_policy_of_a_layer() {
    let w = World::new().await;
    let theirs = layer("111111111111", "shared");
    let new = new_version(&theirs, zip(&[("a", "1")]));
    let arn = w.functions.publish_layer_version(new).await.unwrap().arn();
    let denied = w.create_with("f", &[&arn]).await;
    assert!(matches!(
        denied,
        Err(Error::Layers(LayerError::Denied { .. }))
    ));
    let statement = |id: &str| Statement {
        id: id.to_owned(),
        principal: Principal::Aws("arn:aws:iam::000000000000:root".to_owned()),
        action: "lambda:GetLayerVersion".to_owned(),
        conditions: Vec::new(),
        written: None,
    };
    let functions = &w.functions;
    let add = |id: &str, revision| {
        functions.add_layer_permission(&theirs, 1, statement(id), revision, |_| Ok(()))
    };
    let first = add("s", None).await.unwrap();
    assert!(matches!(
        add("s", None).await,
        Err(Error::StatementExists { .. })
    ));
    assert!(matches!(
        add("t", Some("other".to_owned())).await,
        Err(Error::PolicyRevisionDiffers)
    ));
    let second = add("t", Some(first.revision.clone())).await.unwrap();
    assert_ne!(second.revision, first.revision);
    w.create_with("f", &[&arn]).await.unwrap();
    let w = w.killed().await;
    assert_eq!(
        w.functions.layer_policy(&theirs, 1).as_deref(),
        Some(&*second)
    );
    for id in ["s", "t"] {
        let gone = w
            .functions
            .remove_layer_permission(&theirs, 1, id.to_owned(), None);
        gone.await.unwrap();
    }
    assert!(w.functions.layer_policy(&theirs, 1).is_none());
    assert!(matches!(
        w.functions
            .remove_layer_permission(&theirs, 2, "s".to_owned(), None)
            .await,
        Err(Error::NoSuchLayerVersion { .. })
    ));
}

#[tokio::test]
async fn code_and_layers_have_to_fit_together() {
    let w = World::new().await;
    let zeros = |name: &str, bytes: usize| zip(&[(name, "0".repeat(bytes).as_str())]);
    let max = usize::try_from(functions::UNZIPPED_MAX).unwrap();
    let mut arns = Vec::new();
    for (name, bytes) in [("half", max / 2), ("rest", max - max / 2)] {
        let new = new_version(&layer("000000000000", name), zeros(name, bytes));
        arns.push(w.functions.publish_layer_version(new).await.unwrap().arn());
    }
    let both: Vec<&str> = arns.iter().map(String::as_str).collect();
    match w.create_with("f", &both).await {
        Err(Error::Layers(LayerError::CombinedTooLarge { actual, .. })) => {
            assert_eq!(actual, functions::UNZIPPED_MAX + 1);
        }
        other => panic!("{other:?}"),
    }
    w.create_with("f", &both[..1]).await.unwrap();
    w.settle("f").await;
    let f = function("f");
    let more = w
        .functions
        .update_code(&f, new_code(zeros("a", max / 2 + 1)))
        .await;
    assert!(matches!(
        more,
        Err(Error::Layers(LayerError::CombinedTooLarge { .. }))
    ));
    let over = new_version(&layer("000000000000", "one"), zeros("one", 1));
    arns.push(w.functions.publish_layer_version(over).await.unwrap().arn());
    let all: Vec<&str> = arns.iter().map(String::as_str).collect();
    assert!(matches!(
        w.set_layers(&f, &all).await,
        Err(Error::Layers(LayerError::TooLarge { .. }))
    ));
}

#[tokio::test]
async fn extensions_are_the_files_of_their_folder() {
    use zip::write::SimpleFileOptions;
    let w = World::new().await;
    let packed = |files: &[(&str, u32)]| -> Bytes {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, mode) in files {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            writer.start_file(*name, options).unwrap();
        }
        writer.finish().unwrap().into_inner().into()
    };
    let mut arns = Vec::new();
    for (name, files) in [
        (
            "a",
            &[
                ("extensions/b", 0o755),
                ("extensions/notes", 0o644),
                ("extensions/d/c", 0o755),
            ][..],
        ),
        ("b", &[("extensions/a", 0o755)][..]),
        ("off", &[("disable-extensions-jwigqn8j", 0o644)][..]),
    ] {
        let new = new_version(&layer("000000000000", name), packed(files));
        arns.push(w.functions.publish_layer_version(new).await.unwrap().arn());
    }
    let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
    let two = w.create_with("f", &arns[..2]).await.unwrap();
    assert_eq!(two.layers.extensions(), ["a", "b", "notes"]);
    let off = w.create_with("g", &arns).await.unwrap();
    assert!(off.layers.extensions().is_empty());
}
