use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not between {min} and {max}")]
pub struct OutOfRange {
    pub value: i64,
    pub min: i64,
    pub max: i64,
}

fn check(value: i64, min: u16, max: u16) -> Result<u16, OutOfRange> {
    let error = OutOfRange {
        value,
        min: min.into(),
        max: max.into(),
    };
    let value = u16::try_from(value).map_err(|_| error)?;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(error)
    }
}

/// Memory of one environment, whole MiB, 128 ..= 10 240.  [Lambda quotas]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Memory(u16);

impl Memory {
    pub const MIN: Memory = Memory(128);
    pub const MAX: Memory = Memory(10_240);

    pub fn from_mib(mib: i64) -> Result<Memory, OutOfRange> {
        check(mib, 128, 10_240).map(Memory)
    }

    pub fn mib(self) -> u32 {
        self.0.into()
    }

    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }

    /// Share of a core in thousandths; 1 769 MiB buys one whole core.  [Lambda guide: configure memory]
    pub fn millicores(self) -> u32 {
        u32::from(self.0) * 1_000 / 1_769
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest run of one invocation, whole seconds, 1 ..= 900.  [Lambda quotas]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timeout(u16);

impl Timeout {
    pub const DEFAULT: Timeout = Timeout(3);

    pub fn from_secs(secs: i64) -> Result<Timeout, OutOfRange> {
        check(secs, 1, 900).map(Timeout)
    }

    pub fn secs(self) -> u32 {
        self.0.into()
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

/// Size of `/tmp`, whole MiB, 512 ..= 10 240.  [Lambda quotas]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EphemeralStorage(u16);

impl EphemeralStorage {
    pub const DEFAULT: EphemeralStorage = EphemeralStorage(512);

    pub fn from_mib(mib: i64) -> Result<EphemeralStorage, OutOfRange> {
        check(mib, 512, 10_240).map(EphemeralStorage)
    }

    pub fn mib(self) -> u32 {
        self.0.into()
    }

    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_both_ends() {
        for (mib, ok) in [
            (127, false),
            (128, true),
            (10_240, true),
            (10_241, false),
            (-1, false),
        ] {
            assert_eq!(Memory::from_mib(mib).is_ok(), ok, "{mib}");
        }
        for (secs, ok) in [
            (0, false),
            (1, true),
            (900, true),
            (901, false),
            (1 << 40, false),
        ] {
            assert_eq!(Timeout::from_secs(secs).is_ok(), ok, "{secs}");
        }
    }

    #[test]
    fn cpu_follows_memory() {
        assert_eq!(Memory::from_mib(1_769).unwrap().millicores(), 1_000);
        assert_eq!(Memory::MIN.millicores(), 72);
        assert_eq!(Memory::MAX.millicores(), 5_788);
    }
}
