use clap::CommandFactory;

use super::Cli;

/// `kiln completions SHELL`
pub(crate) fn print(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "kiln", &mut std::io::stdout());
}
