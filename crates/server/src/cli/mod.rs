//! The command line.

mod client;
mod clock;
mod completions;
mod demo;
mod deploy;
mod dev;
mod doctor;
mod functions;
mod invoke;
mod logs;
mod package;
mod project;
mod show;
mod template;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Layers};
use client::Client;

#[derive(Parser)]
#[command(
    name = "kiln",
    version,
    about = "AWS Lambda on your own machines",
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Deploy the examples into a throw-away server and call them
    Demo {
        #[command(flatten)]
        serve: ServeArgs,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Zip a folder with a kiln.toml or a SAM template and create or update its functions
    Deploy {
        /// Folder with a kiln.toml or a template, or the template itself
        dir: PathBuf,
        /// Name of the function, instead of the one in kiln.toml
        #[arg(long)]
        name: Option<String>,
        /// Runtime of the function, instead of the one in kiln.toml
        #[arg(long)]
        runtime: Option<String>,
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Serve the functions of a folder, and swap their code when a file is saved
    Dev {
        /// Folder with a kiln.toml or a template, or the template itself
        dir: PathBuf,
        #[command(flatten)]
        serve: ServeArgs,
        /// Port of the debugger inside the functions; while one is attached, no timeout ends a call
        #[arg(long, value_name = "PORT")]
        debug: Option<u16>,
    },
    /// Call a function
    Invoke(invoke::InvokeArgs),
    /// Show a function's log
    Logs(logs::LogsArgs),
    /// List the functions
    Functions {
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Tell what this host can run and enforce, and how to mend what it lacks
    Doctor {
        #[command(flatten)]
        serve: ServeArgs,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show the effective configuration and where each value comes from
    Config {
        #[command(flatten)]
        serve: ServeArgs,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Move the time of a server that was started with movable_clock = true
    Clock {
        #[command(subcommand)]
        command: clock::ClockCommand,
    },
    /// Show what became of an asynchronous event, and of what followed from it
    Trace {
        /// Request id of the event, as its invocation answered it
        request_id: String,
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Run an asynchronous event once more
    Replay {
        /// Request id of the event, as its invocation answered it
        request_id: String,
        /// Version or alias, instead of the one that it was for
        #[arg(long)]
        qualifier: Option<String>,
        /// As the same event, with its request id: what a queue does that delivers at least once
        #[arg(long)]
        duplicate: bool,
        #[command(flatten)]
        to: ClientArgs,
    },
    /// Print shell completions
    Completions {
        /// Shell to print them for
        shell: clap_complete::Shell,
    },
    /// Print the operations that the server knows, for tools
    #[command(hide = true)]
    InternalApi,
}

#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    /// Configuration file [default: kiln-server.toml, if it exists]
    #[arg(long)]
    config: Option<PathBuf>,
    /// Address of the API [default: 127.0.0.1:4566]
    #[arg(long)]
    listen: Option<String>,
    /// Folder of everything that Kiln keeps [default: kiln-data]
    #[arg(long)]
    data: Option<String>,
    /// Isolation: ns or process
    #[arg(long)]
    sandbox: Option<String>,
    /// What functions reach: none, kiln or full
    #[arg(long)]
    network: Option<String>,
    /// Signatures: off, parse or strict
    #[arg(long)]
    auth: Option<String>,
}

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "kiln-server.toml";

impl ServeArgs {
    fn layers(self) -> anyhow::Result<Layers> {
        let file = self.config.clone().unwrap_or_else(|| CONFIG_FILE.into());
        Ok(Layers::defaults()
            .file(&file, self.config.is_some())?
            .environment()
            .flag("listen", "--listen", self.listen)
            .flag("data", "--data", self.data)
            .flag("sandbox", "--sandbox", self.sandbox)
            .flag("network", "--network", self.network)
            .flag("auth", "--auth", self.auth))
    }
}

/// How a client command reaches the server.
#[derive(Args, Clone)]
pub(crate) struct ClientArgs {
    /// URL of the API [default: $AWS_ENDPOINT_URL_LAMBDA, $AWS_ENDPOINT_URL or http://127.0.0.1:4566]
    #[arg(long)]
    endpoint_url: Option<String>,
    /// Region of the functions [default: $AWS_REGION, $AWS_DEFAULT_REGION or us-east-1]
    #[arg(long)]
    region: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl ClientArgs {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::from_environment(self.endpoint_url.as_deref(), self.region.as_deref())
    }
}

pub(crate) fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            show::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => {
            let config = Arc::new(args.layers()?.config()?);
            start_log(&config)?;
            runtime(&config)?.block_on(crate::serve::run(config))?;
        }
        Command::Demo { serve, json } => {
            let layers = serve.layers()?;
            return runtime(&layers.config()?)?.block_on(demo::run(layers, json));
        }
        Command::Deploy {
            dir,
            name,
            runtime,
            to,
        } => client_runtime()?.block_on(deploy::run(&dir, name, runtime, &to))?,
        Command::Dev { dir, serve, debug } => {
            let layers = serve.layers()?;
            return runtime(&layers.config()?)?.block_on(dev::run(layers, &dir, debug));
        }
        Command::Invoke(args) => return client_runtime()?.block_on(invoke::run(args)),
        Command::Logs(args) => client_runtime()?.block_on(logs::run(args))?,
        Command::Functions { to } => client_runtime()?.block_on(functions::run(&to))?,
        Command::Doctor { serve, json } => {
            let config = serve.layers()?.config()?;
            return runtime(&config)?.block_on(doctor::run(&config, json));
        }
        Command::Config { serve, json } => show::config(&serve.layers()?, json),
        Command::Clock { command } => client_runtime()?.block_on(clock::run(command))?,
        Command::Trace { request_id, to } => {
            client_runtime()?.block_on(trace::trace(&request_id, &to))?;
        }
        Command::Replay {
            request_id,
            qualifier,
            duplicate,
            to,
        } => {
            let again = trace::replay(&request_id, qualifier, duplicate, &to);
            client_runtime()?.block_on(again)?;
        }
        Command::Completions { shell } => completions::print(shell),
        Command::InternalApi => {
            let config = Layers::defaults().config()?;
            runtime(&config)?.block_on(demo::print_api(config))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime(config: &Config) -> anyhow::Result<tokio::runtime::Runtime> {
    let threads = match config.threads {
        0 => half_the_cores(),
        threads => threads,
    };
    let mut builder = match threads {
        // One thread alone needs no rules for sharing work.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder
        .enable_all()
        .thread_name("kiln")
        .thread_stack_size(1 << 20)
        .worker_threads(threads);
    Ok(builder.build()?)
}

/// The other half runs the functions: each warm call wakes the server and a function in turn, and
/// fewer threads on the server's side save wake-ups across cores.
fn half_the_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.div_ceil(2)
}

fn client_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if config.log_json {
        log.json().init();
    } else {
        log.with_ansi(show::is_coloured(&std::io::stderr())).init();
    }
    Ok(())
}
