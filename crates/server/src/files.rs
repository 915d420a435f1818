//! Descriptors: the limit of this process, and what may be open within it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::listener::CONNECTIONS_MAX;

/// What one environment holds open here: two pipes, three sockets and a connection, its process,
/// three files that meter and freeze it; the rest is room.
const PER_ENVIRONMENT: u64 = 12;
/// For the store, logs, what is kept ready and what calls open for a moment.
const OWN: u64 = 2_048;

/// How many of what holds descriptors may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) connections: usize,
    pub(crate) environments: usize,
}

/// Raises the limit of the process as far as it may and as is needed, and shares it out.
pub(crate) fn shares(environments: usize) -> Shares {
    let wanted = Shares {
        connections: CONNECTIONS_MAX,
        environments,
    };
    let shares = wanted.within(raised(wanted.files()));
    if shares.environments < environments {
        tracing::warn!(
            environments = shares.environments,
            configured = environments,
            "the limit of open files (ulimit -n) allows fewer environments"
        );
    }
    shares
}

/// The limit after it was raised to the hard one; that is raised too if it is below `wanted` and
/// this process may.
fn raised(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(u64::MAX);
    for limit in [most.max(wanted), most] {
        let raised = Rlimit {
            current: Some(limit),
            maximum: now.maximum.map(|_| limit),
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return limit;
        }
    }
    now.current.unwrap_or(u64::MAX)
}

impl Shares {
    fn files(self) -> u64 {
        let (connections, environments) = (self.connections as u64, self.environments as u64);
        environments
            .saturating_mul(PER_ENVIRONMENT)
            .saturating_add(connections)
            .saturating_add(OWN)
    }

    /// The same, or as much of it as `limit` allows.
    fn within(self, limit: u64) -> Shares {
        if self.files() <= limit {
            return self;
        }
        let quarter = limit / 4;
        let connections = quarter.min(self.connections as u64);
        let environments = (limit - connections - quarter.min(OWN)) / PER_ENVIRONMENT;
        let whole = |n: u64, max: usize| usize::try_from(n).unwrap_or(max).clamp(1, max.max(1));
        Shares {
            connections: whole(connections, self.connections),
            environments: whole(environments, self.environments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_mean_fewer_environments_and_connections() {
        let wanted = Shares {
            connections: 10_000,
            environments: 2_000,
        };
        for (limit, connections, environments) in [
            (u64::MAX, 10_000, 2_000),
            (36_048, 10_000, 2_000),
            (20_000, 5_000, 1_079),
            (1_024, 256, 42),
            (64, 16, 2),
            (0, 1, 1),
        ] {
            let shares = Shares {
                connections,
                environments,
            };
            assert_eq!(wanted.within(limit), shares, "{limit}");
        }
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        assert_eq!(Some(raised(0)), before.maximum.or(Some(u64::MAX)));
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }
}
