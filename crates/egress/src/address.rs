use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks that may be reached although they are internal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    first: IpAddr,
    bits: u32,
}

/// A text that is no list of networks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0:?} is no network; use addresses with a prefix length, like 10.0.0.0/8, separated by commas"
)]
pub struct BadNetwork(String);

impl FromStr for Networks {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Networks, BadNetwork> {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        parts
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Networks)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| bad())?;
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| bad())?,
            None => width(first),
        };
        match bits <= width(first) {
            true => Ok(Network { first, bits }),
            false => Err(bad()),
        }
    }
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        let rest = width(self.first) - self.bits;
        let front = |address| number(address).checked_shr(rest).unwrap_or(0);
        width(self.first) == width(address) && front(self.first) == front(address)
    }
}

impl Networks {
    /// Whether a request may go to this address: it is public, or one of these networks holds it.
    pub(crate) fn permit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.holds(address))
    }
}

/// Blocks of IPv4 that are not of the public Internet.  [IANA: special-purpose address registries]
const INTERNAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carriers, and metadata of some clouds
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, and metadata of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocols
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 3),     // multicast, reserved, broadcast
];

/// Blocks of global unicast IPv6 that are not of the public Internet.
const INTERNAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocols, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

fn is_public(address: IpAddr) -> bool {
    let outside = |first: IpAddr, bits| !Network { first, bits }.holds(address);
    match address {
        IpAddr::V4(_) => INTERNAL_V4
            .iter()
            .all(|(first, bits)| outside((*first).into(), *bits)),
        IpAddr::V6(six) => match inner(six) {
            Some(four) => is_public(four.into()),
            // Global unicast; loopback, link-local, unique local and multicast are elsewhere.
            None => {
                six.segments()[0] >> 13 == 1
                    && INTERNAL_V6
                        .iter()
                        .all(|(first, bits)| outside((*first).into(), *bits))
            }
        },
    }
}

/// The IPv4 address to which a translator brings this one: of 6to4 and of NAT64.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x2002, high, low, ..] => Some(four(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(four(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_outside() {
        for (address, is) in [
            ("8.8.8.8", true),
            ("1.1.1.1", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("100.63.0.1", true),
            ("223.255.255.255", true),
            ("2606:4700:4700::1111", true),
            ("2001:4860:4860::8888", true),
            ("64:ff9b::808:808", true),
            ("2002:808:808::1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("169.254.170.2", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("239.255.255.250", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::127.0.0.1", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("2002:a9fe:a9fe::", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:1::1", false),
        ] {
            let found = Networks::default().permit(address.parse().unwrap());
            assert_eq!(found, is, "{address}");
        }
    }

    #[test]
    fn an_operator_may_allow_networks() {
        let allowed: Networks = "127.0.0.1, 10.0.0.0/8,fd00::/8".parse().unwrap();
        for (address, is) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.255.0.1", true),
            ("11.0.0.1", true), // public
            ("192.168.0.1", false),
            ("fd12::1", true),
            ("::1", false),
        ] {
            assert_eq!(allowed.permit(address.parse().unwrap()), is, "{address}");
        }
        let everything: Networks = "0.0.0.0/0,::/0".parse().unwrap();
        assert!(everything.permit("127.0.0.1".parse().unwrap()));
        assert!(everything.permit("::1".parse().unwrap()));
        assert_eq!("".parse(), Ok(Networks::default()));
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.0/", "::/129", "1.2.3"] {
            assert!(bad.parse::<Networks>().is_err(), "{bad}");
        }
    }
}
