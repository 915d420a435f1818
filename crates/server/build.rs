//! Builds the Rust example with the compiler at hand, so that the demo carries it inside.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    const SOURCE: &str = "../../examples/hello-rust/src/main.rs";
    println!("cargo:rerun-if-changed={SOURCE}");
    let (Some(rustc), Some(out)) = (std::env::var_os("RUSTC"), std::env::var_os("OUT_DIR")) else {
        println!("cargo::error=cargo sets RUSTC and OUT_DIR");
        return ExitCode::FAILURE;
    };
    let built = Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "bootstrap", "-O"])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
            "-C",
            "lto=fat",
            "-C",
            "codegen-units=1",
        ])
        .arg("-o")
        .arg(PathBuf::from(out).join("bootstrap"))
        .arg(SOURCE)
        .status();
    match built {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        other => {
            println!("cargo::error=the example {SOURCE} does not build: {other:?}");
            ExitCode::FAILURE
        }
    }
}
