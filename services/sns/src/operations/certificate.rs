use std::sync::Arc;

use bytes::Bytes;
use wire::{Context, RawRequest, RawResponse};

use crate::engine::Engine;

/// The certificate by which receivers check the signatures of notifications.
pub(crate) async fn get(
    engine: Arc<Engine>,
    _cx: Context,
    _request: RawRequest,
) -> Result<RawResponse, wire::Fault> {
    let signer = engine.signer().await?;
    Ok(RawResponse::new(200)
        .header("content-type", "application/x-pem-file")
        .body(Bytes::from(signer.certificate_pem.clone())))
}
