//! `cp SOURCE.. TARGET`, as POSIX has it without options: copies files out of an image that has no shell, in
//! an init container.
//!
//! A file that is there already is replaced by another one of its name, never written to: a process may have
//! it mapped.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

const USAGE: &str = "usage: cp SOURCE.. TARGET";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match copy_all(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cp: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Copies each file into the folder that stands last, or the one file to the name that does.
fn copy_all(arguments: &[OsString]) -> Result<(), String> {
    let options = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    if let Some(option) = arguments.iter().find(options) {
        return Err(format!("no option is known, {} neither; {USAGE}", option.display()));
    }
    let Some((target, sources @ [first, ..])) = arguments.split_last() else {
        return Err(USAGE.to_owned());
    };
    let target = Path::new(target);
    if !target.is_dir() {
        return match sources {
            [_] => copy(Path::new(first), target),
            _ => Err(format!("{} is not a folder", target.display())),
        };
    }
    for source in sources.iter().map(Path::new) {
        let name = source.file_name().ok_or_else(|| format!("{}: no file", source.display()))?;
        copy(source, &target.join(name))?;
    }
    Ok(())
}

fn copy(source: &Path, target: &Path) -> Result<(), String> {
    let copied = open(source).and_then(|file| replace(file, target));
    copied.map_err(|why| format!("{} to {}: {why}", source.display(), target.display()))
}

/// A folder opens like a file and fails at the first read; a name for it is left by then.
fn open(source: &Path) -> io::Result<File> {
    let file = File::open(source)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a file")),
    }
}

fn replace(source: File, target: &Path) -> io::Result<()> {
    let name = target.file_name().ok_or_else(|| io::Error::other("not a file's name"))?;
    // In a container the number of this process is 1, always. The time parts it from those in other
    // containers that fill the same folder of the host.
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut new = OsString::from(".");
    new.push(name);
    new.push(format!(".{}.{}", std::process::id(), time.as_nanos()));
    replace_by_way_of(source, target, &target.with_file_name(new))
}

/// Writes to the new name and renames. A file that has that name already is somebody else's, and stays.
fn replace_by_way_of(mut source: File, target: &Path, new: &Path) -> io::Result<()> {
    let mut file = File::create_new(new)?;
    let written = io::copy(&mut source, &mut file)
        .and_then(|_| file.set_permissions(source.metadata()?.permissions()))
        .and_then(|()| fs::rename(new, target));
    if written.is_err() {
        // What failed is told; this only tidies up.
        drop(fs::remove_file(new));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;

    /// A folder of a test, empty, and gone with its handle.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("cp-{name}-{}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            fs::write(self.0.join(name), content).unwrap();
            self.0.join(name)
        }

        fn names(&self) -> Vec<OsString> {
            let mut names: Vec<_> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn run(arguments: &[&Path]) -> Result<(), String> {
        copy_all(
            &arguments.iter().map(|argument| argument.as_os_str().to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn files_into_a_folder() {
        let (from, to) = (Folder::new("from"), Folder::new("to"));
        let (a, b) = (from.file("a", "one"), from.file("b", "two"));
        fs::set_permissions(&a, fs::Permissions::from_mode(0o640)).unwrap();
        run(&[&a, &b, &to.0]).unwrap();
        assert_eq!(to.names(), ["a", "b"]);
        assert_eq!(fs::read_to_string(to.0.join("a")).unwrap(), "one");
        assert_eq!(fs::metadata(to.0.join("a")).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_file_under_another_name_in_the_place_of_one_that_is_open() {
        let folder = Folder::new("name");
        let (new, old) = (folder.file("new", "new"), folder.file("old", "old"));
        let open = File::open(&old).unwrap();
        run(&[&new, &old]).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "new");
        assert_eq!(io::read_to_string(open).unwrap(), "old");
        assert_eq!(folder.names(), ["new", "old"]);
    }

    #[test]
    fn what_others_left_behind_hinders_nothing_and_stays() {
        let folder = Folder::new("leftover");
        let (a, b) = (folder.file("a", "new"), folder.file("b", "old"));
        let left = folder.file(&format!(".b.{}", std::process::id()), "theirs");
        run(&[&a, &b]).unwrap();
        assert_eq!(fs::read_to_string(&b).unwrap(), "new");
        let why = replace_by_way_of(open(&a).unwrap(), &b, &left).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&left).unwrap(), "theirs");
        assert_eq!(folder.names(), [left.file_name().unwrap(), "a".as_ref(), "b".as_ref()]);
    }

    #[test]
    fn what_failed_leaves_nothing_behind() {
        let folder = Folder::new("failed");
        let (a, to) = (folder.file("a", ""), folder.0.join("to"));
        fs::create_dir(&to).unwrap();
        replace(open(&a).unwrap(), &to).unwrap_err();
        assert_eq!(folder.names(), ["a", "to"]);
    }

    #[test]
    fn what_is_refused() {
        let folder = Folder::new("refused");
        let (a, b) = (folder.file("a", ""), folder.file("b", ""));
        let missing = folder.0.join("missing");
        for arguments in [
            &[] as &[&Path],
            &[&a],
            &[Path::new("-r"), &a, &b],
            &[&missing, &folder.0],
            &[&a, &b, &missing],
            &[&folder.0, &missing],
            &[&a, &missing.join("below")],
        ] {
            run(arguments).unwrap_err();
        }
        assert_eq!(folder.names(), ["a", "b"]);
    }
}
