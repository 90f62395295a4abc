//! What a file needs of the machine that loads it.

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, SectionTable, Sym as _};

use super::builds::GLIBC;
use super::platform::Platform;

/// The hooks without any of which Envoy refuses the module for an HTTP filter.
pub(crate) const HOOKS: [&str; 21] = [
    "envoy_dynamic_module_on_program_init",
    "envoy_dynamic_module_on_http_filter_config_new",
    "envoy_dynamic_module_on_http_filter_config_destroy",
    "envoy_dynamic_module_on_http_filter_new",
    "envoy_dynamic_module_on_http_filter_request_headers",
    "envoy_dynamic_module_on_http_filter_request_body",
    "envoy_dynamic_module_on_http_filter_request_trailers",
    "envoy_dynamic_module_on_http_filter_response_headers",
    "envoy_dynamic_module_on_http_filter_response_body",
    "envoy_dynamic_module_on_http_filter_response_trailers",
    "envoy_dynamic_module_on_http_filter_stream_complete",
    "envoy_dynamic_module_on_http_filter_destroy",
    "envoy_dynamic_module_on_http_filter_http_callout_done",
    "envoy_dynamic_module_on_http_filter_http_stream_headers",
    "envoy_dynamic_module_on_http_filter_http_stream_data",
    "envoy_dynamic_module_on_http_filter_http_stream_trailers",
    "envoy_dynamic_module_on_http_filter_http_stream_complete",
    "envoy_dynamic_module_on_http_filter_http_stream_reset",
    "envoy_dynamic_module_on_http_filter_scheduled",
    "envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark",
    "envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark",
];

const HOOK: &str = "envoy_dynamic_module_on_";
const CALLBACK: &str = "envoy_dynamic_module_callback_";

/// The libraries of glibc: every image that runs Envoy's own build has them. libgcc_s is none of them, and
/// the images without a distribution lack it.
const LIBRARIES: [&str; 8] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
];

/// What tools for profiling and transactional memory would define, and does without.
const OPTIONAL: [&str; 3] =
    ["__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"];

type Header = FileHeader64<LittleEndian>;

/// An error unless this is a dynamic module that Envoy can load on a machine of that platform with the
/// glibc that the package promises: it exports every hook and nothing else, and needs the callbacks of
/// Envoy and glibc of at most [`GLIBC`].
pub(crate) fn check_module(file: &[u8], platform: Platform) -> Result<()> {
    check_module_inner(file, platform)
        .with_context(|| format!("the module for linux/{}", platform.architecture()))
}

/// An error unless this is a program that runs on that platform without any library.
pub(crate) fn check_static(file: &[u8], platform: Platform) -> Result<()> {
    let elf = Elf::parse(file, platform)?;
    let libraries = elf.libraries()?;
    ensure!(libraries.is_empty(), "the copier needs {}", libraries.join(", "));
    ensure!(!elf.has_interpreter()?, "the copier needs a dynamic linker");
    Ok(())
}

fn check_module_inner(file: &[u8], platform: Platform) -> Result<()> {
    let elf = Elf::parse(file, platform)?;
    ensure!(elf.header.e_type(LittleEndian) == elf::ET_DYN, "not a shared object");
    for library in elf.libraries()? {
        ensure!(LIBRARIES.contains(&library.as_str()), "needs {library}");
    }
    for version in elf.versions()? {
        check_version(&version)?;
    }
    let symbols = elf.symbols()?;
    for symbol in &symbols {
        let Symbol { name, version, .. } = symbol;
        match symbol.kind {
            Kind::Exported => ensure!(name.starts_with(HOOK), "exports {name}"),
            Kind::Needed if name.starts_with(CALLBACK) => {}
            Kind::Needed => {
                let version = version.as_deref();
                ensure!(version.is_some_and(|v| v.starts_with("GLIBC_")), "needs {name}");
            }
            Kind::Optional => ensure!(
                version.is_some() || OPTIONAL.contains(&name.as_str()),
                "may use {name}, which is not of glibc"
            ),
        }
    }
    for hook in HOOKS {
        let exported = |symbol: &Symbol| symbol.kind == Kind::Exported && symbol.name == hook;
        ensure!(symbols.iter().any(exported), "does not export {hook}");
    }
    Ok(())
}

/// An error where a version of a symbol, such as `GLIBC_2.14`, is newer than [`GLIBC`].
fn check_version(version: &str) -> Result<()> {
    let Some(number) = version.strip_prefix("GLIBC_") else { bail!("needs {version}") };
    let mut parts = number.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        bail!("needs {version}")
    };
    let (most, than) = GLIBC;
    ensure!((major, minor) <= GLIBC, "needs {version}, newer than {most}.{than}");
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exported,
    Needed,
    Optional,
}

#[derive(Debug)]
struct Symbol {
    name: String,
    version: Option<String>,
    kind: Kind,
}

struct Elf<'d> {
    data: &'d [u8],
    header: &'d Header,
    sections: SectionTable<'d, Header>,
}

impl<'d> Elf<'d> {
    fn parse(data: &'d [u8], platform: Platform) -> Result<Self> {
        let header = Header::parse(data).context("not a 64-bit ELF file")?;
        let machine = match platform {
            Platform::Amd64 => elf::EM_X86_64,
            Platform::Arm64 => elf::EM_AARCH64,
        };
        header.endian().context("not little-endian")?;
        let found = header.e_machine(LittleEndian);
        ensure!(found == machine, "for machine {found:?}, not {machine:?}");
        let sections = header.sections(LittleEndian, data).context("its sections")?;
        Ok(Self { data, header, sections })
    }

    fn libraries(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let dynamic =
            self.sections.dynamic(LittleEndian, self.data).context("its dynamic table")?;
        let Some((entries, strings)) = dynamic else { return Ok(found) };
        let strings = self.sections.strings(LittleEndian, self.data, strings)?;
        for entry in entries {
            if entry.tag(LittleEndian) == elf::DT_NEEDED {
                found.push(text(entry.string(LittleEndian, strings)?)?);
            }
        }
        Ok(found)
    }

    fn has_interpreter(&self) -> Result<bool> {
        let segments = self.header.program_headers(LittleEndian, self.data)?;
        Ok(segments.iter().any(|segment| segment.p_type(LittleEndian) == elf::PT_INTERP))
    }

    /// The versions that it needs, those included that no symbol has.
    fn versions(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let Some((mut files, strings)) = self.sections.gnu_verneed(LittleEndian, self.data)? else {
            return Ok(found);
        };
        let strings = self.sections.strings(LittleEndian, self.data, strings)?;
        while let Some((_, mut versions)) = files.next()? {
            while let Some(version) = versions.next()? {
                found.push(text(version.name(LittleEndian, strings)?)?);
            }
        }
        Ok(found)
    }

    fn symbols(&self) -> Result<Vec<Symbol>> {
        let symbols = self.sections.symbols(LittleEndian, self.data, elf::SHT_DYNSYM)?;
        let versions = self.sections.versions(LittleEndian, self.data)?;
        let mut found = Vec::new();
        for (index, symbol) in symbols.enumerate() {
            let name = text(symbol.name(LittleEndian, symbols.strings())?)?;
            if name.is_empty() || symbol.st_bind() == elf::STB_LOCAL {
                continue;
            }
            let kind = match symbol.is_undefined(LittleEndian) {
                false => Kind::Exported,
                true if symbol.st_bind() == elf::STB_WEAK => Kind::Optional,
                true => Kind::Needed,
            };
            let version = match &versions {
                Some(versions) => {
                    let index = versions.version_index(LittleEndian, index).index();
                    versions.version(index)?.map(|version| text(version.name())).transpose()?
                }
                None => None,
            };
            found.push(Symbol { name, version, kind });
        }
        Ok(found)
    }
}

fn text(bytes: &[u8]) -> Result<String> {
    Ok(std::str::from_utf8(bytes).context("a name that is not UTF-8")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_up_to_the_one_that_is_promised() {
        for fine in ["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.31"] {
            check_version(fine).unwrap();
        }
        for bad in ["GLIBC_2.32", "GLIBC_2.100", "GLIBC_3.0", "GLIBC_PRIVATE", "GCC_3.0"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_module() {
        assert!(check_module(b"\0asm", Platform::Amd64).is_err());
        // A program of this machine exports no hooks.
        let Some(host) = Platform::host() else { return };
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(check_module(&this, host).is_err());
        assert!(check_static(&this, host).is_err());
    }
}
