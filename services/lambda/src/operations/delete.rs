use std::sync::Arc;

use wire::{Context, Fault};

use crate::Lambda;
use crate::api::FunctionRefRequest;
use crate::fault::{self, invalid_parameter};
use crate::name::{NAMESPACED, Target};
use crate::rules::ALIAS;

/// [Lambda API: DeleteFunction]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<(), Fault> {
    let target = Target::read_shared(
        &lambda,
        &cx,
        NAMESPACED,
        &input.function_name,
        input.qualifier.as_deref(),
    )?;
    match target.qualifier.as_deref() {
        Some("$LATEST") => {
            return Err(invalid_parameter(
                "$LATEST version cannot be deleted without deleting the function.",
            ));
        }
        Some(alias) if (ALIAS.matches)(alias) => {
            return Err(invalid_parameter(
                "Deletion of aliases is not currently supported.",
            ));
        }
        _ => {}
    }
    let whole = target.unqualified();
    // What no version can be called names none: the function is what is missed then.
    let function = target
        .function()
        .map_err(|_| fault::not_found(&whole.arn()))?;
    lambda
        .functions
        .delete(&function)
        .await
        .map_err(|e| fault::refused(e, &whole))
}
