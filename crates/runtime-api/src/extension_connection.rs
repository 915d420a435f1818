//! What a connection does with a request of an extension.

use std::io;

use bytes::Bytes;

use crate::connection::{BodyEnd, Connection, Flow};
use crate::extension::{Reply, Turn};
use crate::outlet::Delivery;
use crate::route::{ExtensionRoute, Head};

/// Longest body of a request of an extension.
const BODY_BYTES_MAX: u64 = 64 << 10;

impl Connection<'_> {
    pub(crate) async fn extension(
        &mut self,
        what: ExtensionRoute,
        head: &Head,
    ) -> io::Result<Flow> {
        if what == ExtensionRoute::Next {
            self.discard(head).await?;
            return self.next_extension_event(head).await;
        }
        let (end, flow) = self.short_body(head, BODY_BYTES_MAX).await?;
        let desk = &self.shared.extensions;
        let reply = match (what, end) {
            (_, BodyEnd::TooLarge | BodyEnd::Truncated) => {
                Reply::InvalidRequest("the body is too long or broke off".to_owned())
            }
            (ExtensionRoute::Register, BodyEnd::Whole(body, _)) => {
                desk.register(&head.extension, &body)
            }
            (ExtensionRoute::Subscribe(api), BodyEnd::Whole(body, _)) => {
                desk.subscribe(api, &head.extension, &body)
            }
            (ExtensionRoute::GiveUp(how), _) => desk.give_up(&head.extension, how),
            (ExtensionRoute::Next, _) => return Ok(flow),
        };
        self.outlet.send(reply.bytes()).await?;
        self.shared.extension_spoke();
        Ok(flow)
    }

    async fn next_extension_event(&mut self, head: &Head) -> io::Result<Flow> {
        match self.shared.extensions.next(&head.extension, &self.outlet) {
            Err(reply) => self.outlet.send(reply.bytes()).await?,
            Ok(Turn::Event(event)) => {
                self.shared.extension_spoke();
                let delivery = Delivery {
                    head: event,
                    payload: Bytes::new(),
                };
                self.outlet.deliver(delivery).await?;
            }
            Ok(Turn::Wait) => {
                self.shared.extension_spoke();
                return self.wait_for_event().await;
            }
        }
        Ok(Flow::Continue)
    }
}
