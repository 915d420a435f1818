use clap::CommandFactory;

use super::{Cli, show};

/// `kiln completions SHELL`
pub(crate) fn print(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kiln", &mut script);
    show::bytes(&script);
}
