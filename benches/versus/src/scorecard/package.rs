//! Packages that are written, built and removed, to see what depending on a crate costs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, process};

/// The versions that the measured crates are built with.
const LOCK: &str = include_str!("../../Cargo.lock");

/// A package in a temporary directory, with the release profile as it is by default. It goes with its owner.
pub struct Package {
    name: String,
    directory: PathBuf,
}

impl Package {
    /// Makes a package with these dependencies: a program, or a library without anything if there is no source.
    pub fn new(name: &str, dependencies: &str, program: Option<&str>) -> io::Result<Self> {
        let directory = env::temp_dir().join(format!("versus-{name}-{}", process::id()));
        let package = Self { name: name.to_owned(), directory };
        fs::create_dir_all(package.path("src"))?;
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\n{dependencies}\n"
        );
        fs::write(package.path("Cargo.toml"), manifest)?;
        fs::write(package.path("Cargo.lock"), LOCK)?;
        let source = if program.is_some() { "src/main.rs" } else { "src/lib.rs" };
        fs::write(package.path(source), program.unwrap_or_default())?;
        Ok(package)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Builds it, with everything that it depends on. Returns whether that worked.
    pub fn build(&self) -> bool {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--release", "--quiet"])
            .current_dir(&self.directory)
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env_remove("CARGO_INCREMENTAL")
            .stdin(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// The program, once it is built.
    pub fn program(&self) -> PathBuf {
        self.path("target/release").join(&self.name)
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// This crate as a dependency, with its default features.
pub fn tasktag() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    format!("tasktag = {{ path = {:?} }}", root.display().to_string())
}
