//! Time limits that wait while somebody looks at a function with a debugger.

use std::time::Duration;

use tasks::Clock;

/// How often is looked whether a debugger is there. What runs may exceed its limit by so much.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// `st` of an open connection in `/proc/net/tcp`.  [Linux: include/net/tcp_states.h]
const ESTABLISHED: &str = "01";

/// The port on which functions listen for a debugger (`debugpy`, `node --inspect`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Debugger {
    port: u16,
}

impl Debugger {
    pub(crate) fn new(port: u16) -> Debugger {
        Debugger { port }
    }

    fn is_attached(self) -> bool {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        tables.iter().any(|table| {
            let text = std::fs::read_to_string(table).unwrap_or_default();
            has_connection(&text, self.port)
        })
    }
}

/// Returns when `limit` has passed without the time in which a debugger was attached.
pub(crate) async fn run_out(clock: &Clock, limit: Duration, debugger: Option<Debugger>) {
    let Some(debugger) = debugger else {
        return clock.sleep(limit).await;
    };
    let mut left = limit;
    while !left.is_zero() {
        let begin = clock.monotonic();
        clock.sleep(left.min(LOOK_EVERY)).await;
        let slept = clock.monotonic().since(begin);
        if !debugger.is_attached() {
            left = left.saturating_sub(slept);
        }
    }
}

/// Whether a table of the kernel's lists an open connection whose local port is `port`.
fn has_connection(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next().and_then(|address| address.rsplit(':').next());
        let state = fields.nth(1);
        local.and_then(|hex| u16::from_str_radix(hex, 16).ok()) == Some(port)
            && state == Some(ESTABLISHED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_by_its_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                     \x20  0: 0100007F:162E 00000000:0000 0A 00000000:00000000\n\
                     \x20  1: 0100007F:240D 0100007F:E0B2 01 00000000:00000000\n";
        assert!(has_connection(table, 0x240D));
        assert!(!has_connection(table, 0x162E), "it only listens");
        assert!(!has_connection(table, 0xE0B2), "the other side");
        assert!(!has_connection("", 1));
    }
}
