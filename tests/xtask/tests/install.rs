//! A release, installed into a directory: what a C programmer, an operator and a packager find there.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("causeway-install-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn xtask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().unwrap()
}

/// The standard output of a command that must succeed.
fn good(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Every file and link below a directory, with its mode and its content.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            found.extend(tree(&path));
        } else {
            let content = match meta.is_symlink() {
                true => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                false => fs::read(&path).unwrap(),
            };
            found.insert(path, (meta.permissions().mode() & 0o777, content));
        }
    }
    found
}

/// The first program of the README.
fn readme_program() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(readme).unwrap();
    let program = text.split("```c\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(program.contains("machnet_attach"), "it uses the library");
    program.to_owned()
}

/// What pkg-config says of an installed package.
fn pkg_config(prefix: &Path, words: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(words).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    // What it takes for the system's own directories it leaves out.
    good(&mut command).split_whitespace().map(str::to_owned).collect()
}

fn compile(source: &Path, to: &Path, flags: &[String]) {
    good(Command::new("cc").arg(source).arg("-o").arg(to).args(flags));
}

/// The daemon of an installed release with its example of a configuration, when applications can attach.
fn daemon(prefix: &Path, place: &Scratch) -> Running {
    let socket = place.path("s");
    let mut serve = Command::new(prefix.join("bin/causeway"));
    serve.arg("serve").arg("--config").arg(prefix.join("share/doc/causeway/causeway.toml"));
    serve.env("CAUSEWAY_SOCKET", &socket).stderr(Stdio::null());
    let running = Running(serve.spawn().unwrap());
    let began = Instant::now();
    while !socket.exists() {
        assert!(began.elapsed() < PATIENCE, "the daemon does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

fn programs_are_compiled_and_run(prefix: &Path, place: &Scratch) {
    let source = place.path("hello.c");
    fs::write(&source, readme_program()).unwrap();
    let shared = pkg_config(prefix, &["--cflags", "--libs", "machnet"]);
    let rpath = format!("-Wl,-rpath,{}", prefix.join("lib").display());
    compile(&source, &place.path("shared"), &[shared, vec![rpath]].concat());
    let stat = pkg_config(prefix, &["--static", "--cflags", "--libs", "machnet"]).into_iter();
    let stat: Vec<String> = stat.map(|word| word.replace("-lmachnet", "-l:libmachnet.a")).collect();
    compile(&source, &place.path("static"), &stat);
    let upstream = place.path("upstream.c");
    let text =
        "#include <machnet.h>\nint main(void) { void *ctx = machnet_attach(); return ctx == 0; }\n";
    fs::write(&upstream, text).unwrap();
    let flags = pkg_config(prefix, &["--cflags", "--libs", "machnet-upstream"]);
    compile(&upstream, &place.path("upstream"), &flags);

    let needs = |program: &str| good(Command::new("readelf").arg("-d").arg(place.path(program)));
    assert!(needs("shared").contains("[libmachnet.so.0]"));
    assert!(!needs("static").contains("libmachnet"));
    let _daemon = daemon(prefix, place);
    for program in ["shared", "static"] {
        let mut run = Command::new(place.path(program));
        assert_eq!(good(run.env("CAUSEWAY_SOCKET", place.path("s"))), "Hello, Causeway!\n");
    }
}

/// How much of the machine a service sees, by systemd's own measure: 0 nothing, 100 all. The unit has 25.
const EXPOSURE_MAX: &str = "--threshold=30";

fn the_unit_is_one_that_systemd_likes(prefix: &Path) {
    let unit = prefix.join("lib/systemd/system/causeway.service");
    let text = fs::read_to_string(&unit).unwrap();
    let start = format!("ExecStart={}/bin/causeway serve", prefix.display());
    assert!(text.contains(&start), "{text}");
    let mut verify = Command::new("systemd-analyze");
    let output = verify.args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // It reads the units of the machine as well.
    let complaints: Vec<&str> = said.lines().filter(|l| l.contains("causeway")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{said}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=yes", "--no-pager", EXPOSURE_MAX]).arg(&unit);
    good(&mut security);
}

fn pages_and_completions_are_read(prefix: &Path) {
    let mut pages = 0;
    for path in tree(&prefix.join("share/man")).keys() {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-z", "-ww"]).arg(path);
        let output = groff.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
        pages += 1;
    }
    assert!(pages > 8, "{pages} pages");
    let completions = prefix.join("share/bash-completion/completions/causeway");
    good(Command::new("bash").arg("-n").arg(completions));
}

#[test]
fn a_release_is_installed_used_installed_again_and_removed() {
    let place = Scratch::new("whole");
    let prefix = place.path("prefix");
    let at = ["--prefix", prefix.to_str().unwrap()];
    let install = || {
        let output = xtask(&[&["install", "--profile", "dev"][..], &at].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        tree(&prefix)
    };
    let first = install();
    let mode = |name: &str| first[&prefix.join(name)].0;
    assert_eq!((mode("bin/causeway"), mode("include/machnet.h")), (0o755, 0o644));
    let link = &first[&prefix.join("lib/libmachnet.so")].1;
    assert_eq!(link, b"libmachnet.so.0");
    programs_are_compiled_and_run(&prefix, &place);
    the_unit_is_one_that_systemd_likes(&prefix);
    pages_and_completions_are_read(&prefix);
    assert!(install() == first, "the second time changes nothing");

    let removed = xtask(&[&["uninstall"][..], &at].concat());
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    assert!(!prefix.exists() || tree(&prefix).is_empty());
    assert!(!prefix.join("share").exists(), "its directories go as well");
    let again = xtask(&[&["uninstall"][..], &at].concat());
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("nothing is installed there"), "{said}");
}

#[test]
fn a_package_says_the_prefix_and_lies_below_the_destination() {
    let place = Scratch::new("package");
    let destdir = place.path("root");
    let arguments = ["install", "--profile", "dev", "--prefix", "/usr", "--destdir"];
    let output = xtask(&[&arguments[..], &[destdir.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(destdir.join("usr").join(name)).unwrap();
    assert!(read("lib/systemd/system/causeway.service").contains("ExecStart=/usr/bin/causeway "));
    assert!(read("lib/pkgconfig/machnet.pc").starts_with("prefix=/usr\nlibdir=/usr/lib\n"));
    let place = place.0.to_str().unwrap();
    for name in ["lib/pkgconfig/machnet.pc", "share/causeway/installed"] {
        assert!(!read(name).contains(place), "{name} names the directory of the package");
    }
}

#[test]
fn what_cannot_be_is_one_error_and_nothing_is_written() {
    let place = Scratch::new("bad");
    fs::write(place.path("file"), "").unwrap();
    let file = place.path("file/usr");
    let refused = |arguments: &[&str]| {
        let output = xtask(&[&["install"][..], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let plain = "give an absolute path of the characters";
    for prefix in ["usr", "/usr/../etc", "/usr local", "/usr/%h", "/a$b"] {
        assert!(refused(&["--prefix", prefix]).contains(plain), "{prefix}");
    }
    let said = refused(&["--prefix", file.to_str().unwrap()]);
    assert!(said.contains("file is no directory"), "{said}");
    let below = refused(&["--prefix", "/usr", "--libdir", "../lib"]);
    assert!(below.contains("give a path below the prefix"), "{below}");
    assert_eq!(tree(&place.0).len(), 1, "the file");
}
