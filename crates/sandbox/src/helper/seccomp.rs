//! Which system calls a function may make.
//!
//! - Refused with EPERM: what would enlarge the rights of the function or the attack surface of the
//!   kernel, by call or by argument.
//! - Allowed: what language runtimes use.
//! - The rest gets ENOSYS, so that libraries fall back as on an older kernel. `clone3` is among it,
//!   because its flags lie behind a pointer that a filter cannot read; every libc then uses
//!   `clone`, whose flags are checked.
//!
//! The kernel translates the program anew for each environment, which takes time in proportion to
//! its length. So it is a binary search over ranges of call numbers, a tenth of a chain of
//! comparisons.

use libc::c_long;
use seccompiler::{BpfProgram, sock_filter};

use super::calls::{ALLOWED, ALLOWED_LEGACY, REFUSED};

/// The filter, compiled once per helper.
pub(super) struct Filter(BpfProgram);

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Allow,
    /// EPERM
    Refuse,
    /// ENOSYS, unless made by whoever traces the process
    Traced,
    /// ENOSYS
    Unknown,
    /// A look at the arguments decides.
    Look(Section),
}

/// Rules about arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Section {
    Clone,
    Socket,
    Ioctl,
}

const SECTIONS: [Section; 3] = [Section::Clone, Section::Socket, Section::Ioctl];

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const TRACE: u32 = libc::SECCOMP_RET_TRACE;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

// Offsets in the kernel's `struct seccomp_data`; of an argument the lower half, little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

/// Numbers from here on belong to the x32 interface, which nothing needs.
const NUMBERS_END: u32 = 0x4000_0000;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const GO: u16 = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const IF_ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K

fn op(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn word(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

impl Filter {
    /// # Errors
    /// Fails if the lists grew so long that a jump does not reach.
    pub(super) fn compile() -> Result<Filter, String> {
        Filter::of(&ranges(&[]))
    }

    /// For the runtime of a snapshot: its forks enter namespaces while they are traced from outside.
    pub(super) fn for_snapshots() -> Result<Filter, String> {
        Filter::of(&ranges(&[libc::SYS_setns]))
    }

    fn of(ranges: &[(u32, Verdict)]) -> Result<Filter, String> {
        let mut tree = Vec::new();
        let mut looks = Vec::new();
        search(ranges, &mut tree, &mut looks)?;
        let mut program = vec![
            op(LOAD, ARCH, 0, 0),
            op(IF_EQUAL, NATIVE, 1, 0),
            op(RETURN, KILL, 0, 0),
            op(LOAD, NUMBER, 0, 0),
        ];
        let base = program.len();
        program.append(&mut tree);
        for section in SECTIONS {
            let start = program.len();
            program.extend(section.code());
            for (at, _) in looks.iter().filter(|(_, s)| *s == section) {
                let from = base + at + 1;
                if let Some(go) = program.get_mut(base + at) {
                    go.k = u32::try_from(start - from).map_err(|e| e.to_string())?;
                }
            }
        }
        Ok(Filter(program))
    }

    /// As the kernel reads it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let words = |op: &sock_filter| {
            let mut bytes = op.code.to_ne_bytes().to_vec();
            bytes.extend([op.jt, op.jf]);
            bytes.extend(op.k.to_ne_bytes());
            bytes
        };
        self.0.iter().flat_map(words).collect()
    }

    /// Binds this thread and what it starts. Also sets no_new_privs.
    pub(super) fn install(&self) -> Result<(), seccompiler::Error> {
        seccompiler::apply_filter(&self.0)
    }
}

/// Where each verdict begins to hold, in the order of call numbers.
fn ranges(traced: &[c_long]) -> Vec<(u32, Verdict)> {
    let mut calls: Vec<(u32, Verdict)> = Vec::new();
    let mut add = |list: &[c_long], verdict| {
        calls.extend(
            list.iter()
                .filter_map(|call| Some((u32::try_from(*call).ok()?, verdict))),
        );
    };
    add(traced, Verdict::Traced);
    add(REFUSED, Verdict::Refuse);
    add(&[libc::SYS_clone], Verdict::Look(Section::Clone));
    add(
        &[libc::SYS_socket, libc::SYS_socketpair],
        Verdict::Look(Section::Socket),
    );
    add(&[libc::SYS_ioctl], Verdict::Look(Section::Ioctl));
    add(ALLOWED, Verdict::Allow);
    add(ALLOWED_LEGACY, Verdict::Allow);
    calls.sort_by_key(|(number, _)| *number); // stable: of two entries the first counts
    calls.dedup_by_key(|(number, _)| *number);
    let mut ranges = vec![(0, Verdict::Unknown)];
    for (number, verdict) in calls {
        if ranges.last().is_some_and(|(at, _)| *at == number) {
            ranges.pop();
        }
        ranges.push((number, verdict));
        ranges.push((number + 1, Verdict::Unknown));
    }
    ranges.push((NUMBERS_END, Verdict::Unknown));
    ranges.dedup_by_key(|(_, verdict)| *verdict);
    ranges
}

/// Emits the search among `ranges`; notes where it goes on to a section.
fn search(
    ranges: &[(u32, Verdict)],
    program: &mut Vec<sock_filter>,
    looks: &mut Vec<(usize, Section)>,
) -> Result<(), String> {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let (Some((pivot, _)), false) = (upper.first(), lower.is_empty()) else {
        let verdict = ranges.first().map_or(Verdict::Unknown, |(_, v)| *v);
        if let Verdict::Look(section) = verdict {
            looks.push((program.len(), section));
        }
        program.push(match verdict {
            Verdict::Allow => op(RETURN, ALLOW, 0, 0),
            Verdict::Refuse => op(RETURN, ERRNO | word(libc::EPERM), 0, 0),
            Verdict::Traced => op(RETURN, TRACE, 0, 0),
            Verdict::Unknown => op(RETURN, ERRNO | word(libc::ENOSYS), 0, 0),
            Verdict::Look(_) => op(GO, 0, 0, 0),
        });
        return Ok(());
    };
    let jump = program.len();
    program.push(op(IF_AT_LEAST, *pivot, 0, 0));
    search(lower, program, looks)?;
    let distance = u8::try_from(program.len() - jump - 1)
        .map_err(|_| "the system call filter is too long".to_owned())?;
    if let Some(jump) = program.get_mut(jump) {
        jump.jt = distance;
    }
    search(upper, program, looks)
}

impl Section {
    fn code(self) -> Vec<sock_filter> {
        let refuse = op(RETURN, ERRNO | word(libc::EPERM), 0, 0);
        let allow = op(RETURN, ALLOW, 0, 0);
        let argument = |n: u32| op(LOAD, ARGUMENTS + 8 * n, 0, 0);
        match self {
            Section::Clone => {
                let namespaces = libc::CLONE_NEWNS
                    | libc::CLONE_NEWCGROUP
                    | libc::CLONE_NEWUTS
                    | libc::CLONE_NEWIPC
                    | libc::CLONE_NEWUSER
                    | libc::CLONE_NEWPID
                    | libc::CLONE_NEWNET;
                vec![
                    argument(0),
                    op(IF_ANY_BIT, word(namespaces), 1, 0),
                    allow,
                    refuse,
                ]
            }
            // Unix, IPv4 and IPv6 sockets, and the route kind of netlink, which getifaddrs needs.
            Section::Socket => vec![
                argument(0),
                op(IF_EQUAL, word(libc::AF_UNIX), 5, 0),
                op(IF_EQUAL, word(libc::AF_INET), 4, 0),
                op(IF_EQUAL, word(libc::AF_INET6), 3, 0),
                op(IF_EQUAL, word(libc::AF_NETLINK), 0, 3),
                argument(2),
                op(IF_EQUAL, word(libc::NETLINK_ROUTE), 0, 1),
                allow,
                refuse,
            ],
            // Typing into a terminal.
            Section::Ioctl => vec![
                argument(1),
                op(
                    IF_EQUAL,
                    u32::try_from(libc::TIOCSTI).unwrap_or_default(),
                    2,
                    0,
                ),
                op(
                    IF_EQUAL,
                    u32::try_from(libc::TIOCLINUX).unwrap_or_default(),
                    1,
                    0,
                ),
                allow,
                refuse,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERM: u32 = ERRNO | libc::EPERM as u32;
    const NOSYS: u32 = ERRNO | libc::ENOSYS as u32;

    /// Runs the program as the kernel would.
    fn run(filter: &Filter, arch: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let data = |offset: u32| match offset {
            NUMBER => number,
            ARCH => arch,
            at => arguments[usize::try_from((at - ARGUMENTS) / 8).unwrap()],
        };
        let (mut at, mut loaded) = (0_usize, 0);
        loop {
            let op = &filter.0[at];
            let jump = |taken| usize::from(if taken { op.jt } else { op.jf });
            at += 1 + match op.code {
                LOAD => {
                    loaded = data(op.k);
                    0
                }
                RETURN => return op.k,
                GO => usize::try_from(op.k).unwrap(),
                IF_EQUAL => jump(loaded == op.k),
                IF_AT_LEAST => jump(loaded >= op.k),
                IF_ANY_BIT => jump(loaded & op.k != 0),
                other => panic!("{other}"),
            };
        }
    }

    fn native(number: c_long, arguments: [u32; 3]) -> u32 {
        let filter = Filter::compile().unwrap();
        run(&filter, NATIVE, u32::try_from(number).unwrap(), arguments)
    }

    #[test]
    fn every_call_gets_the_verdict_of_its_list() {
        let filter = Filter::compile().unwrap();
        let looked_at = [
            libc::SYS_clone,
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_ioctl,
        ];
        for number in 0..600 {
            let call = c_long::from(number);
            if looked_at.contains(&call) {
                continue;
            }
            let want = if REFUSED.contains(&call) {
                PERM
            } else if ALLOWED.contains(&call) || ALLOWED_LEGACY.contains(&call) {
                ALLOW
            } else {
                NOSYS
            };
            let got = run(&filter, NATIVE, u32::try_from(number).unwrap(), [0; 3]);
            assert_eq!(got, want, "call {number}");
        }
    }

    #[test]
    fn arguments_decide_where_they_must() {
        let set = |flag: i32| flag as u32;
        for (call, arguments, want) in [
            (
                libc::SYS_clone,
                [set(libc::CLONE_VM | libc::CLONE_THREAD), 0, 0],
                ALLOW,
            ),
            (libc::SYS_clone, [set(libc::CLONE_NEWUSER), 0, 0], PERM),
            (
                libc::SYS_clone,
                [set(libc::CLONE_VM | libc::CLONE_NEWNET), 0, 0],
                PERM,
            ),
            (libc::SYS_clone3, [0; 3], NOSYS),
            (libc::SYS_socket, [set(libc::AF_UNIX), 1, 0], ALLOW),
            (libc::SYS_socket, [set(libc::AF_INET), 1, 0], ALLOW),
            (libc::SYS_socket, [set(libc::AF_INET6), 1, 0], ALLOW),
            (
                libc::SYS_socket,
                [set(libc::AF_NETLINK), 3, set(libc::NETLINK_ROUTE)],
                ALLOW,
            ),
            (
                libc::SYS_socket,
                [set(libc::AF_NETLINK), 3, set(libc::NETLINK_NETFILTER)],
                PERM,
            ),
            (libc::SYS_socket, [set(libc::AF_PACKET), 3, 0], PERM),
            (libc::SYS_socket, [set(libc::AF_VSOCK), 1, 0], PERM),
            (libc::SYS_socket, [set(libc::AF_ALG), 5, 0], PERM),
            (libc::SYS_socketpair, [set(libc::AF_UNIX), 1, 0], ALLOW),
            (libc::SYS_ioctl, [0, libc::FIONREAD as u32, 0], ALLOW),
            (libc::SYS_ioctl, [0, libc::TIOCSTI as u32, 0], PERM),
            (libc::SYS_ioctl, [0, libc::TIOCLINUX as u32, 0], PERM),
        ] {
            assert_eq!(native(call, arguments), want, "{call} {arguments:?}");
        }
    }

    #[test]
    fn snapshots_enter_namespaces_under_trace_and_trace_nobody() {
        let filter = Filter::for_snapshots().unwrap();
        let verdict = |call: c_long| run(&filter, NATIVE, u32::try_from(call).unwrap(), [0; 3]);
        assert_eq!(verdict(libc::SYS_setns), TRACE);
        assert_eq!(verdict(libc::SYS_ptrace), PERM);
        assert_eq!(verdict(libc::SYS_unshare), PERM);
        assert_eq!(native(libc::SYS_setns, [0; 3]), PERM);
    }

    #[test]
    fn foreign_calls_do_not_pass() {
        let filter = Filter::compile().unwrap();
        assert_eq!(run(&filter, 0x4000_0003, 4, [0; 3]), KILL); // 32-bit x86
        let x32_read = NUMBERS_END + u32::try_from(libc::SYS_read).unwrap();
        assert_eq!(run(&filter, NATIVE, x32_read, [0; 3]), NOSYS);
    }

    #[test]
    fn no_call_is_both_refused_and_allowed() {
        let allowed = ALLOWED.iter().chain(ALLOWED_LEGACY);
        let both: Vec<_> = allowed.filter(|call| REFUSED.contains(call)).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[test]
    fn the_filter_is_short() {
        let length = Filter::compile().unwrap().0.len();
        assert!(length < 400, "{length}");
    }
}
