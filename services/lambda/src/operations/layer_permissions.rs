use std::sync::Arc;

use functions::{Condition, Error, Policy, Statement};
use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{AddLayerVersionPermissionResponse, GetPolicyResponse, LayerVersionRequest};
use crate::fault::{self, missing};
use crate::name::home;
use crate::operations::layers::{refused, version};
use crate::operations::permissions::{POLICY_MAX, document, principal, text};
use crate::rules::{LAYER_ACTION, LAYER_PRINCIPAL, ORGANIZATION_ID, STATEMENT_ID, TEXT_MAX};
use crate::violations::Violations;

/// [Lambda API: AddLayerVersionPermission]
pub(crate) async fn add(
    lambda: Arc<Lambda>,
    cx: Context,
    input: LayerVersionRequest,
) -> Result<AddLayerVersionPermissionResponse, Fault> {
    let mut v = Violations::new();
    check_statement_id(&mut v, input.statement_id.as_deref());
    v.required("action", input.action.as_ref());
    v.text("action", input.action.as_deref(), (0, 22), LAYER_ACTION);
    v.required("principal", input.principal.as_ref());
    let whom = input.principal.as_deref();
    v.text("principal", whom, (0, TEXT_MAX), LAYER_PRINCIPAL);
    let organization = input.organization_id.as_deref();
    v.text("organizationId", organization, (0, 34), ORGANIZATION_ID);
    v.check()?;
    let (layer, number) = version(&cx, &input)?;
    own(&cx, &layer, number, "AddLayerVersionPermission")?;
    let arn = layer.version_arn(number);
    let of_organization = input.organization_id.map(|value| Condition {
        operator: "StringEquals".to_owned(),
        key: "aws:PrincipalOrgID".to_owned(),
        value,
    });
    let statement = Statement {
        id: input.statement_id.unwrap_or_default(),
        principal: principal(input.principal.as_deref().unwrap_or_default())?,
        action: input.action.unwrap_or_default(),
        conditions: of_organization.into_iter().collect(),
        written: None,
    };
    let shown = document(&statement, &arn);
    let fits = move |policy: &Policy| {
        let size = text(policy, &arn).len();
        match size > POLICY_MAX {
            true => Err(Error::PolicyTooLong {
                size,
                max: POLICY_MAX,
            }),
            false => Ok(()),
        }
    };
    let policy = lambda
        .functions
        .add_layer_permission(&layer, number, statement, input.revision_id, fits)
        .await
        .map_err(refused)?;
    Ok(AddLayerVersionPermissionResponse {
        statement: serde_json::to_string(&shown).unwrap_or_default(),
        revision_id: policy.revision.clone(),
    })
}

/// [Lambda API: RemoveLayerVersionPermission]
pub(crate) async fn remove(
    lambda: Arc<Lambda>,
    cx: Context,
    input: LayerVersionRequest,
) -> Result<(), Fault> {
    let mut v = Violations::new();
    check_statement_id(&mut v, input.statement_id.as_deref());
    v.check()?;
    let (layer, number) = version(&cx, &input)?;
    own(&cx, &layer, number, "RemoveLayerVersionPermission")?;
    let id = input.statement_id.unwrap_or_default();
    let removed = lambda
        .functions
        .remove_layer_permission(&layer, number, id, input.revision_id);
    removed.await.map_err(refused)
}

/// [Lambda API: GetLayerVersionPolicy]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: LayerVersionRequest,
) -> Result<GetPolicyResponse, Fault> {
    let (layer, number) = version(&cx, &input)?;
    own(&cx, &layer, number, "GetLayerVersionPolicy")?;
    let arn = layer.version_arn(number);
    if lambda.functions.layer_version(&layer, number).is_none() {
        return Err(refused(Error::NoSuchLayerVersion { arn }));
    }
    let policy = lambda
        .functions
        .layer_policy(&layer, number)
        .ok_or_else(|| missing("No policy is associated with the given resource."))?;
    Ok(GetPolicyResponse {
        policy: text(&policy, &arn),
        revision_id: policy.revision.clone(),
    })
}

/// Only its own account sees and changes the policy of a layer.
fn own(cx: &Context, layer: &functions::LayerRef, number: u64, action: &str) -> Result<(), Fault> {
    match layer.account == home(cx)?.0 {
        true => Ok(()),
        false => Err(fault::layer_denied(cx, action, &layer.version_arn(number))),
    }
}

fn check_statement_id(v: &mut Violations, id: Option<&str>) {
    v.required("statementId", id.as_ref());
    v.text("statementId", id, (1, 100), STATEMENT_ID);
}
