//! System calls made in the place of another process, by ptrace.
#![allow(unsafe_code)]

use std::io;

/// Whether this is written for the processor.
pub(crate) const IS_BUILT: bool = cfg!(target_arch = "x86_64");

/// Waits for a process to be inside of a system call, and for what may stop it meanwhile.
const STOPS_MAX: u32 = 64;

/// A process that stands still inside of an interruptible system call. It makes the calls that it is
/// told to, with its own rights, and runs nothing of its own meanwhile. Dropping this kills it.
pub(crate) struct Traced {
    pid: i32,
    #[cfg(target_arch = "x86_64")]
    before: libc::user_regs_struct,
    is_released: bool,
}

impl Traced {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if !self.is_released {
            // SAFETY: plain system call; a traced process is not reaped by anyone else.
            // WHY: rustix would want a Pid that cannot be had for every number.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            // SAFETY: plain system call; the status is not asked for.
            // WHY: as above. Its parent learns of the end after its tracer only.
            unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), libc::__WALL) };
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Traced {
    pub(crate) fn seize(_pid: i32) -> io::Result<Traced> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(crate) fn call(&mut self, _number: libc::c_long, _args: &[u64]) -> io::Result<u64> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(crate) fn put(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<u64> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(crate) fn release(self) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

#[cfg(target_arch = "x86_64")]
mod native {
    use super::{STOPS_MAX, Traced, io};
    use libc::{c_int, c_long, c_void, user_regs_struct};

    /// `syscall`, little-endian.
    const INSTRUCTION: u64 = 0x050f;
    const INSTRUCTION_BYTES: u64 = 2;
    /// How often a process is looked at that is to stand still. One that waits for a child of its own
    /// (`vfork`), or is sent signals all the time, may never do so, and nobody else is served meanwhile.
    const LOOKS_MAX: u32 = 2_000;
    /// So many looks follow each other at once: it takes microseconds.
    const LOOKS_AT_ONCE: u32 = 1_000;
    /// Between the others.
    const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(1);

    /// Below the stack's end, behind what its owner may use there without asking.
    const SCRATCH_BELOW: u64 = 2_048;

    /// What a stopped process was stopped for.
    #[derive(PartialEq, Eq)]
    enum Stop {
        /// By us, or after one step.
        Trap,
        /// Its filter asks whether a call is allowed.
        Filter,
        Signal(c_int),
    }

    fn ptrace(request: libc::c_uint, pid: i32, address: u64, data: u64) -> io::Result<c_long> {
        // SAFETY: `data` is a number, or points to memory of the size that the request takes.
        // WHY: neither std nor rustix offers ptrace.
        let code = unsafe {
            libc::ptrace(
                request,
                pid,
                std::ptr::with_exposed_provenance_mut::<c_void>(
                    usize::try_from(address).unwrap_or(0),
                ),
                std::ptr::with_exposed_provenance_mut::<c_void>(usize::try_from(data).unwrap_or(0)),
            )
        };
        if code < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(code)
        }
    }

    /// Waits for the next stop of a process that makes a call which cannot wait.
    fn wait(pid: i32) -> io::Result<Stop> {
        loop {
            if let Some(status) = look(pid, 0)? {
                return stop(status);
            }
        }
    }

    /// Waits for the next stop of a process that may never come to one. `looks`: how many are left.
    fn wait_within(pid: i32, looks: &mut u32) -> io::Result<Stop> {
        while *looks > 0 {
            *looks -= 1;
            if let Some(status) = look(pid, libc::WNOHANG)? {
                return stop(status);
            }
            match *looks > LOOKS_MAX - LOOKS_AT_ONCE {
                true => std::thread::yield_now(),
                false => std::thread::sleep(LOOK_EVERY),
            }
        }
        Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
    }

    /// The status of a process if there is a new one.
    fn look(pid: i32, options: c_int) -> io::Result<Option<c_int>> {
        let mut status = 0;
        // SAFETY: `status` is valid for the length of the call.
        // WHY: rustix does not report what ptrace adds to the status.
        let code = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL | options) };
        if code == pid {
            return Ok(Some(status));
        }
        let error = io::Error::last_os_error();
        match code == 0 || error.kind() == io::ErrorKind::Interrupted {
            true => Ok(None),
            false => Err(error),
        }
    }

    fn stop(status: c_int) -> io::Result<Stop> {
        if !libc::WIFSTOPPED(status) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(match (status >> 16, libc::WSTOPSIG(status)) {
            (libc::PTRACE_EVENT_SECCOMP, _) => Stop::Filter,
            (_, libc::SIGTRAP) => Stop::Trap,
            (_, signal) => Stop::Signal(signal),
        })
    }

    fn registers(pid: i32) -> io::Result<user_regs_struct> {
        // SAFETY: the structure is plain data for which all zeroes is a value.
        // WHY: it has no constructor.
        let mut registers: user_regs_struct = unsafe { std::mem::zeroed() };
        let at = (&raw mut registers).expose_provenance() as u64;
        ptrace(libc::PTRACE_GETREGS, pid, 0, at)?;
        Ok(registers)
    }

    fn set_registers(pid: i32, registers: &user_regs_struct) -> io::Result<()> {
        let at = std::ptr::from_ref(registers).expose_provenance() as u64;
        ptrace(libc::PTRACE_SETREGS, pid, 0, at).map(drop)
    }

    fn peek(pid: i32, address: u64) -> io::Result<u64> {
        // SAFETY: reads one word of the other process; errno tells a failure from the word -1.
        // WHY: as above; the C library returns the word itself.
        unsafe {
            *libc::__errno_location() = 0;
            let at = std::ptr::with_exposed_provenance_mut::<c_void>(
                usize::try_from(address).unwrap_or(0),
            );
            let word = libc::ptrace(libc::PTRACE_PEEKTEXT, pid, at, 0);
            match *libc::__errno_location() {
                0 => Ok(word.cast_unsigned()),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    impl Traced {
        /// Stops a process that waits in a system call, or is about to; at most for about a second.
        pub(crate) fn seize(pid: i32) -> io::Result<Traced> {
            let options = libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_EXITKILL;
            let options = u64::try_from(options).unwrap_or(0);
            ptrace(libc::PTRACE_SEIZE, pid, 0, options)?;
            let mut traced = Traced {
                pid,
                before: registers_of_nothing(),
                is_released: false,
            };
            let mut looks = LOOKS_MAX;
            for _ in 0..STOPS_MAX {
                ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0)?;
                loop {
                    match wait_within(pid, &mut looks)? {
                        Stop::Trap => break,
                        Stop::Signal(signal) => {
                            ptrace(
                                libc::PTRACE_CONT,
                                pid,
                                0,
                                u64::try_from(signal).unwrap_or(0),
                            )?;
                        }
                        Stop::Filter => {
                            ptrace(libc::PTRACE_CONT, pid, 0, 0)?;
                        }
                    }
                }
                traced.before = registers(pid)?;
                if traced.waits_in_a_call()? {
                    return Ok(traced);
                }
                ptrace(libc::PTRACE_CONT, pid, 0, 0)?;
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
        }

        fn waits_in_a_call(&self) -> io::Result<bool> {
            let code = peek(self.pid, self.before.rip.wrapping_sub(INSTRUCTION_BYTES))?;
            let is_inside =
                self.before.orig_rax.cast_signed() >= 0 && self.before.rax.cast_signed() < 0;
            Ok(is_inside && code & 0xffff == INSTRUCTION)
        }

        /// Has it make one call.
        pub(crate) fn call(&mut self, number: c_long, args: &[u64]) -> io::Result<u64> {
            let arg = |at: usize| args.get(at).copied().unwrap_or(0);
            let mut registers = self.before;
            registers.rip = self.before.rip.wrapping_sub(INSTRUCTION_BYTES);
            registers.rax = number.cast_unsigned();
            registers.orig_rax = u64::MAX; // no call that would have to be made again
            (registers.rdi, registers.rsi, registers.rdx) = (arg(0), arg(1), arg(2));
            (registers.r10, registers.r8, registers.r9) = (arg(3), arg(4), arg(5));
            set_registers(self.pid, &registers)?;
            for _ in 0..STOPS_MAX {
                ptrace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0)?;
                match wait(self.pid)? {
                    Stop::Trap => {
                        let result = self::registers(self.pid)?.rax;
                        return match i32::try_from(result.cast_signed()) {
                            Ok(error @ -4_095..=-1) => Err(io::Error::from_raw_os_error(-error)),
                            _ => Ok(result),
                        };
                    }
                    // The filter lets through what its tracer lets through: that is this.
                    Stop::Filter => {}
                    Stop::Signal(_) => return Err(io::Error::from_raw_os_error(libc::EINTR)),
                }
            }
            Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
        }

        /// Writes to memory that it does not use, at an offset that is a multiple of eight; gives the
        /// address.
        pub(crate) fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<u64> {
            let start = ((self.before.rsp - SCRATCH_BELOW) & !15) + offset;
            let mut at = start;
            for chunk in bytes.chunks(8) {
                let mut word = [0; 8];
                word.iter_mut()
                    .zip(chunk)
                    .for_each(|(to, from)| *to = *from);
                ptrace(
                    libc::PTRACE_POKEDATA,
                    self.pid,
                    at,
                    u64::from_ne_bytes(word),
                )?;
                at += 8;
            }
            Ok(start)
        }

        /// Lets it go on: the call that it was in was interrupted.
        pub(crate) fn release(mut self) -> io::Result<()> {
            let mut registers = self.before;
            registers.orig_rax = u64::MAX;
            registers.rax = i64::from(-libc::EINTR).cast_unsigned();
            set_registers(self.pid, &registers)?;
            ptrace(libc::PTRACE_DETACH, self.pid, 0, 0)?;
            self.is_released = true;
            Ok(())
        }
    }

    fn registers_of_nothing() -> user_regs_struct {
        // SAFETY: the structure is plain data for which all zeroes is a value.
        // WHY: it has no constructor.
        unsafe { std::mem::zeroed() }
    }
}

/// Whether a descriptor of this process and one of another are the same open file.
pub(crate) fn is_same_file(own: std::os::fd::BorrowedFd<'_>, pid: i32, theirs: i32) -> bool {
    use std::os::fd::AsRawFd;
    const FILE: libc::c_int = 0;
    // SAFETY: plain numbers.
    // WHY: rustix has no kcmp.
    let order = unsafe {
        let own_pid = libc::getpid();
        libc::syscall(libc::SYS_kcmp, own_pid, pid, FILE, own.as_raw_fd(), theirs)
    };
    order == 0
}
