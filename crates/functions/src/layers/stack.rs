use std::path::Path;
use std::sync::Arc;

use super::LayerRef;
use crate::code::UNZIPPED_MAX;
use crate::{Code, Error, Functions};
use model::FunctionRef;

/// The layers of one version of a function and what they make of `/opt`.
#[derive(Debug, Default)]
pub struct Layers {
    /// Lowest first.
    used: Vec<UsedLayer>,
    /// All of them merged; the layer itself if there is but one.
    opt: Option<Arc<Code>>,
    extensions: Vec<String>,
}

/// A layer version as a function holds it, also after the version was deleted.
#[derive(Debug, Clone)]
pub struct UsedLayer {
    pub arn: String,
    pub code: Arc<Code>,
}

/// Why a function cannot use the layers that it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    #[error("layer version {arn} does not exist")]
    Missing { arn: String },
    /// A layer of another account, which has not shared it.
    #[error("layer version {arn} is not shared")]
    Denied { arn: String },
    #[error("the layers are not in {expected}")]
    OtherRegion { expected: String },
    #[error("{first} and {second} are versions of one layer")]
    Twice { first: String, second: String },
    #[error("layers unpack to more than {max} bytes")]
    TooLarge { max: u64 },
    /// The layers alone would fit.
    #[error("code and layers unpack to {actual} bytes, more than {max}")]
    CombinedTooLarge { actual: u64, max: u64 },
}

/// Where the external extensions of a function are.  [Lambda guide: extensions]
const EXTENSIONS: &str = "extensions";
/// A file that turns extensions off.  [Runtime Interface Emulator]
const NO_EXTENSIONS: &str = "disable-extensions-jwigqn8j";
/// Extensions of one function that are looked at; the limit that a function meets is lower.
const EXTENSIONS_MAX: usize = 100;

impl Layers {
    /// Lowest first.
    pub fn used(&self) -> &[UsedLayer] {
        &self.used
    }

    /// To be seen as `/opt`; `None` without layers.
    pub fn dir(&self) -> Option<&Path> {
        self.opt.as_ref()?.dir()
    }

    /// Names of the files in `/opt/extensions`, in the order of their names: each is taken for a program.
    /// [Lambda guide: extensions]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl Functions {
    /// Looks up the layers that a function of `owner` may name; reads memory only.
    pub(crate) fn find_layers(
        &self,
        owner: &FunctionRef,
        arns: &[String],
    ) -> Result<Vec<UsedLayer>, LayerError> {
        LayerRef::all_in(&owner.region, arns)?;
        let mut seen: Vec<(LayerRef, &String)> = Vec::new();
        let mut used = Vec::new();
        for arn in arns {
            let missing = || LayerError::Missing { arn: arn.clone() };
            let (layer, number) = LayerRef::parse_version_arn(arn).ok_or_else(missing)?;
            if !self.may_use_layer(&owner.account, &layer, number) {
                return Err(LayerError::Denied { arn: arn.clone() });
            }
            let version = self.layer_version(&layer, number).ok_or_else(missing)?;
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == layer) {
                return Err(LayerError::Twice {
                    first: (*first).clone(),
                    second: arn.clone(),
                });
            }
            seen.push((layer, arn));
            used.push(UsedLayer {
                arn: arn.clone(),
                code: version.code.clone(),
            });
        }
        Ok(used)
    }

    /// Checks that code and layers fit together, and merges the layers.
    pub(crate) async fn stack(
        &self,
        code: &Arc<Code>,
        used: Vec<UsedLayer>,
    ) -> Result<Arc<Layers>, Error> {
        self.check_sizes(code, &used).await?;
        self.merge_layers(used).await
    }

    /// Does code that replaces a function's code still fit beside its layers?
    pub(crate) async fn check_sizes(&self, code: &Code, used: &[UsedLayer]) -> Result<(), Error> {
        if used.is_empty() {
            return Ok(());
        }
        let mut layers = 0u64;
        for layer in used {
            layers = layers.saturating_add(self.0.code.unzipped(&layer.code).await?);
        }
        if layers > UNZIPPED_MAX {
            return Err(LayerError::TooLarge { max: UNZIPPED_MAX }.into());
        }
        let actual = layers.saturating_add(self.0.code.unzipped(code).await?);
        if actual > UNZIPPED_MAX {
            return Err(LayerError::CombinedTooLarge {
                actual,
                max: UNZIPPED_MAX,
            }
            .into());
        }
        Ok(())
    }

    pub(crate) async fn merge_layers(&self, used: Vec<UsedLayer>) -> Result<Arc<Layers>, Error> {
        let codes: Vec<Arc<Code>> = used.iter().map(|layer| layer.code.clone()).collect();
        let opt = match codes.as_slice() {
            [] => return Ok(Arc::default()),
            [only] => only.clone(),
            _ => self.0.code.merged(&codes).await?,
        };
        let dir = opt.dir().map(Path::to_owned).unwrap_or_default();
        let look = move || extensions(&dir);
        let found = self.0.tasks.blocking(look).await;
        let extensions = found.map_err(|_| Error::ShuttingDown)?;
        Ok(Arc::new(Layers {
            used,
            opt: Some(opt),
            extensions,
        }))
    }
}

/// A function without the folder has no extensions.
fn extensions(opt: &Path) -> Vec<String> {
    if opt.join(NO_EXTENSIONS).exists() {
        return Vec::new();
    }
    let is_program = |path: &Path| path.symlink_metadata().is_ok_and(|m| !m.is_dir());
    let mut names: Vec<String> = std::fs::read_dir(opt.join(EXTENSIONS))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_program(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .take(EXTENSIONS_MAX)
        .collect();
    names.sort();
    names
}
