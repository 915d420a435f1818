use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use functions::{CodeError, Error, UNZIPPED_MAX};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::world::{World, function, new, new_code, zip};

fn built(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().unwrap().into_inner().into()
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
}

/// Changes the bytes of a name wherever it stands in the zip.
fn renamed(zip: &Bytes, from: &str, to: &str) -> Bytes {
    assert_eq!(from.len(), to.len());
    let mut bytes = zip.to_vec();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from.as_bytes())
        .map(|(i, _)| i)
        .collect();
    for i in places {
        bytes[i..i + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes.into()
}

async fn refused(code: Bytes) -> Option<CodeError> {
    let w = World::new().await;
    match w.functions.create(new("f", code)).await {
        Ok(_) => None,
        Err(Error::Code(error)) => {
            assert!(!w.functions.exists(&function("f")));
            let left: Vec<_> = std::fs::read_dir(w.folder.path().join("code"))
                .unwrap()
                .collect();
            assert_eq!(left.len(), 1, "only the scratch folder is there");
            let scratch = left[0].as_ref().unwrap().path();
            assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
            assert!(w.store().blobs.list().await.unwrap().is_empty());
            Some(error)
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn hostile_zips_are_refused_and_nothing_is_kept() {
    let plain = zip(&[("aa/bb", "x")]);
    let twice = zip(&[("x1", "1"), ("x2", "2")]);
    let cases: Vec<(&str, Bytes)> = vec![
        (
            "no zip",
            Bytes::from_static(b"this is not a zipfile, just a random string"),
        ),
        ("nothing", Bytes::new()),
        ("cut off", plain.slice(..plain.len() - 4)),
        ("parent", renamed(&plain, "aa/bb", "../bb")),
        ("absolute", renamed(&plain, "aa/bb", "/a/bb")),
        ("null byte", renamed(&plain, "aa/bb", "aa\0bb")),
        ("twice the same", renamed(&twice, "x2", "x1")),
        (
            "twice the same, spelled differently",
            renamed(&zip(&[("./x", "1"), ("yyyyx", "2")]), "yyyyx", "././x"),
        ),
        (
            "file and folder",
            built(|z| {
                z.start_file("a", options()).unwrap();
                z.start_file("a/b", options()).unwrap();
            }),
        ),
        (
            "below a link",
            built(|z| {
                z.add_symlink("a", ".", options()).unwrap();
                z.start_file("a/b", options()).unwrap();
            }),
        ),
        (
            "link out",
            built(|z| z.add_symlink("a", "../x", options()).unwrap()),
        ),
        (
            "absolute link",
            built(|z| z.add_symlink("a", "/etc/passwd", options()).unwrap()),
        ),
    ];
    for (name, code) in cases {
        let error = refused(code).await;
        assert!(
            matches!(error, Some(CodeError::BadZip(_))),
            "{name}: {error:?}"
        );
    }
    assert!(matches!(
        refused(built(|_| {})).await,
        Some(CodeError::EmptyZip)
    ));
}

#[tokio::test]
async fn damaged_data_is_refused() {
    let code = built(|z| {
        let stored = options().compression_method(zip::CompressionMethod::Stored);
        z.start_file("a.txt", stored).unwrap();
        z.write_all(b"some text that can be changed").unwrap();
    });
    let error = refused(renamed(&code, "can be changed", "was changed by")).await;
    assert!(matches!(error, Some(CodeError::BadZip(_))), "{error:?}");
}

#[tokio::test]
async fn a_zip_that_unpacks_to_too_much_is_stopped() {
    let ten_megabytes = built(|z| {
        z.start_file("zeros", options()).unwrap();
        z.write_all(&vec![0u8; 10 << 20]).unwrap();
    });
    let mut one = zip::ZipArchive::new(Cursor::new(ten_megabytes)).unwrap();
    let code = built(|z| {
        for n in 0..26 {
            let zeros = one.by_index_raw(0).unwrap();
            z.raw_copy_file_rename(zeros, format!("zeros{n}")).unwrap();
        }
    });
    assert!(code.len() < 1 << 20);
    let error = refused(code).await;
    assert!(
        matches!(
            error,
            Some(CodeError::UnzippedTooLarge { max: UNZIPPED_MAX })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn modes_and_links_are_kept_as_a_function_needs_them() {
    let w = World::new().await;
    let code = built(|z| {
        z.add_directory("lib/", options()).unwrap();
        z.start_file("bootstrap", options().unix_permissions(0o700))
            .unwrap();
        z.start_file("lib/data", options().unix_permissions(0o600))
            .unwrap();
        z.start_file("deep/er/x", options()).unwrap();
        z.add_symlink("lib/link", "../bootstrap", options())
            .unwrap();
    });
    w.functions.create(new("f", code)).await.unwrap();
    let d = w.functions.resolve(&function("f")).unwrap();
    let dir = d.code_dir().unwrap();
    let mode = |path: &str| {
        std::fs::metadata(dir.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("bootstrap"), 0o755);
    assert_eq!(mode("lib/data"), 0o644);
    assert_eq!(mode("deep/er"), 0o755);
    assert_eq!(mode(""), 0o755);
    assert_eq!(
        std::fs::read_link(dir.join("lib/link")).unwrap().to_str(),
        Some("../bootstrap")
    );
}

#[tokio::test]
async fn one_zip_is_unpacked_once() {
    let w = World::new().await;
    let code = zip(&[("a.py", "shared")]);
    let names: Vec<String> = (0..8).map(|n| format!("f{n}")).collect();
    let made: Vec<_> = names
        .iter()
        .map(|n| w.functions.create(new(n, code.clone())))
        .collect();
    for create in made {
        create.await.unwrap();
    }
    let first = w.functions.resolve(&function("f0")).unwrap();
    let last = w.functions.resolve(&function("f7")).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first.code, &last.code));
    assert_eq!(w.store().blobs.list().await.unwrap().len(), 1);
    let digest = first.code.digest().to_string();
    assert_eq!(w.functions.zip(&digest).await.unwrap(), code);
}

#[tokio::test]
async fn only_code_that_nothing_holds_is_swept() {
    let w = World::new().await;
    let f = w.active("f").await;
    let running = w.functions.resolve(&f).unwrap();
    let old = running.code_dir().unwrap().to_owned();
    w.update(&f, zip(&[("a.py", "2")])).await.unwrap();
    w.settle("f").await;
    assert_eq!(
        w.functions.sweep_code().await.unwrap(),
        0,
        "an environment still runs it"
    );
    drop(running);
    assert_eq!(w.functions.sweep_code().await.unwrap(), 1);
    assert!(!old.exists());
    let d = w.functions.resolve(&f).unwrap();
    assert_eq!(
        std::fs::read(d.code_dir().unwrap().join("a.py")).unwrap(),
        b"2"
    );
    assert_eq!(w.store().blobs.list().await.unwrap().len(), 1);
    // The same code can come back.
    w.update(&f, zip(&[("a.py", "1")])).await.unwrap();
    assert!(old.join("a.py").exists());
}

#[tokio::test]
async fn a_dry_run_checks_and_keeps_nothing() {
    let w = World::new().await;
    let f = w.active("f").await;
    let before = w.functions.describe(&f).unwrap().deployed;
    let code = zip(&[("a.py", "2")]);
    let shown = w.functions.try_code(&f, &new_code(code)).await.unwrap();
    assert_ne!(shown.code.sha256(), before.code.sha256());
    assert_eq!(shown.revision, before.revision);
    assert_eq!(w.store().blobs.list().await.unwrap().len(), 1);
    assert!(
        w.functions
            .try_code(&f, &new_code("x".into()))
            .await
            .is_err()
    );
    assert_eq!(
        w.functions.describe(&f).unwrap().deployed.revision,
        before.revision
    );
}

/// A generator of small numbers that a seed replays.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[tokio::test]
async fn no_damaged_zip_gets_out_of_its_folder_or_leaves_anything_behind() {
    let seed = std::env::var("KILN_SEED").map_or(1, |s| s.parse().unwrap());
    println!("KILN_SEED={seed}");
    let w = World::new().await;
    let f = w.active("f").await;
    let whole = built(|z| {
        z.add_directory("lib/", options()).unwrap();
        z.start_file("lib/aa", options().unix_permissions(0o755))
            .unwrap();
        z.write_all(&b"some text ".repeat(50)).unwrap();
        z.add_symlink("lib/bb", "aa", options()).unwrap();
        z.start_file("../cc".replace("..", "dd"), options())
            .unwrap();
        z.write_all(b"x").unwrap();
    });
    let words: [&[u8]; 6] = [b"../", b"/", b"\0", b"PK\x01\x02", &[0xff; 8], b"lib/bb/x"];
    let mut dice = Dice(seed);
    let mut refused = 0;
    for _ in 0..600 {
        let mut bytes = whole.to_vec();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bytes.len());
            match dice.roll(4) {
                0 => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.splice(at..at, whole[..at.min(whole.len())].iter().copied())),
                _ => {
                    let word = words[dice.roll(words.len())];
                    let end = (at + word.len()).min(bytes.len());
                    bytes.splice(at..end, word.iter().copied());
                }
            }
        }
        match w
            .functions
            .try_code(&f, &new_code(bytes.clone().into()))
            .await
        {
            Ok(_) => {
                let name = format!("g{}", dice.0);
                w.functions.create(new(&name, bytes.into())).await.unwrap();
            }
            Err(Error::Code(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 200, "{refused} of 600 were refused");
    let outside = std::fs::read_dir(w.folder.path()).unwrap().count();
    assert_eq!(outside, 1, "only the folder of the code is there");
    let scratch = w.folder.path().join("code/.scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}
