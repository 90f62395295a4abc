use super::*;
use walrus::{FunctionBuilder, FunctionId, ir::Value};

const I32: ValType = ValType::I32;

/// A module in the making: what every test needs is there, and one export of the crate's.
struct Built(Module);

impl Built {
    fn bare() -> Self {
        Self(Module::with_config(ModuleConfig::new()))
    }

    fn whole() -> Self {
        let mut built = Self::bare();
        let memory = built.0.memories.add_local(false, false, 1, None, None);
        built.0.exports.add("memory", memory);
        built.export("_initialize", &[], &[]);
        built.export("pintle_abi_version_0_2_1", &[], &[]);
        built.export("pintle_on_memory_allocate", &[I32], &[I32]);
        built.export("pintle_on_configure", &[I32, I32], &[I32]);
        built.export("proxy_abi_version_0_2_1", &[], &[]);
        built.export("proxy_on_configure", &[I32, I32], &[I32]);
        built
    }

    /// A function that answers zeros, by the name of its export.
    fn export(&mut self, name: &str, parameters: &[ValType], results: &[ValType]) -> FunctionId {
        let mut builder = FunctionBuilder::new(&mut self.0.types, parameters, results);
        builder.name(format!("own::{name}"));
        let parameters: Vec<_> = parameters.iter().map(|kind| self.0.locals.add(*kind)).collect();
        let mut body = builder.func_body();
        for kind in results {
            let zero = if *kind == ValType::I64 { Value::I64(0) } else { Value::I32(0) };
            body.const_(zero);
        }
        let id = builder.finish(parameters, &mut self.0.funcs);
        self.0.exports.add(name, id);
        id
    }

    fn remove(mut self, name: &str) -> Self {
        self.0.exports.remove(name).unwrap();
        self
    }

    fn wasm(mut self) -> Vec<u8> {
        self.0.emit_wasm()
    }

    fn error(self) -> ModuleError {
        write_exports(&self.wasm()).unwrap_err()
    }
}

fn function_names(wasm: &[u8]) -> Vec<String> {
    let module = Module::from_buffer(wasm).unwrap();
    let mut names: Vec<_> = module.funcs.iter().filter_map(|func| func.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn own_functions_take_the_abi_s_names() {
    let mut built = Built::whole();
    built.export("pintle_on_request_headers", &[I32, I32, I32], &[I32]);
    built.export("__heap_base_or_so", &[], &[]);
    let written = write_exports(&built.wasm()).unwrap();
    let wanted = [
        "_initialize",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_memory_allocate",
        "proxy_on_request_headers",
    ];
    assert_eq!(exports(&written).unwrap(), wanted);
    // The crate's functions of the same names are gone, ours are there.
    let wanted = [
        "own::_initialize",
        "own::pintle_abi_version_0_2_1",
        "own::pintle_on_configure",
        "own::pintle_on_memory_allocate",
        "own::pintle_on_request_headers",
    ];
    assert_eq!(function_names(&written), wanted);
}

#[test]
fn the_table_for_headers_has_no_content() {
    let mut built = Built::whole();
    built.export("pintle_initialize_headers", &[], &[]);
    built.export("pintle_on_response_headers", &[I32, I32, I32], &[I32]);
    built.export("pintle_on_response_body", &[I32, I32, I32], &[I32]);
    built.export("pintle_on_response_trailers", &[I32, I32], &[I32]);
    let wasm = built.wasm();
    let whole = write_exports(&wasm).unwrap();
    let names = exports(&whole).unwrap();
    assert!(OF_CONTENT.iter().all(|name| names.iter().any(|other| other == name)), "{names:?}");
    assert!(names.iter().all(|name| !name.contains("initialize_headers")), "{names:?}");
    let functions = function_names(&whole);
    assert!(functions.contains(&"own::_initialize".to_owned()), "{functions:?}");
    assert!(!functions.contains(&"own::pintle_initialize_headers".to_owned()), "{functions:?}");

    let headers = write_exports_with(&wasm, Table::Headers, Names::Keep).unwrap();
    let wanted: Vec<_> =
        names.into_iter().filter(|name| !OF_CONTENT.contains(&name.as_str())).collect();
    assert_eq!(exports(&headers).unwrap(), wanted);
    let functions = function_names(&headers);
    assert!(functions.contains(&"own::pintle_initialize_headers".to_owned()), "{functions:?}");
    for gone in ["_initialize", "pintle_on_response_body", "pintle_on_response_trailers"] {
        assert!(!functions.contains(&format!("own::{gone}")), "{functions:?}");
    }
    assert_eq!(write_exports(&headers), Err(ModuleError::Written));
}

#[test]
fn the_table_for_headers_needs_its_own_start() {
    let headers = |built: Built| write_exports_with(&built.wasm(), Table::Headers, Names::Keep);
    let missing = headers(Built::whole());
    assert_eq!(missing, Err(ModuleError::Missing(INITIALIZE_HEADERS)));
    let mut built = Built::whole();
    built.export(INITIALIZE_HEADERS, &[I32], &[]);
    assert_eq!(headers(built), Err(ModuleError::Mistyped(INITIALIZE_HEADERS.to_owned())));
    let mut built = Built::whole().remove(INITIALIZE);
    built.export(INITIALIZE_HEADERS, &[], &[]);
    assert_eq!(headers(built), Err(ModuleError::Missing(INITIALIZE)));
}

#[test]
fn what_an_export_calls_stays() {
    let mut built = Built::whole();
    let called = built.export("called", &[], &[]);
    let mut builder = FunctionBuilder::new(&mut built.0.types, &[I32], &[]);
    builder.func_body().call(called);
    let context = built.0.locals.add(I32);
    let id = builder.finish(vec![context], &mut built.0.funcs);
    built.0.exports.add("pintle_on_tick", id);
    let written = write_exports(&built.wasm()).unwrap();
    assert!(function_names(&written).contains(&"own::called".to_owned()));
}

#[test]
fn the_result_is_the_same_every_time() {
    let wasm = Built::whole().wasm();
    assert_eq!(write_exports(&wasm), write_exports(&wasm));
}

#[test]
fn names_go_when_told_to() {
    let wasm = Built::whole().wasm();
    let kept = write_exports(&wasm).unwrap();
    let stripped = write_exports_with(&wasm, Table::Whole, Names::Strip).unwrap();
    assert!(!function_names(&kept).is_empty());
    assert!(function_names(&stripped).is_empty());
    assert!(stripped.len() < kept.len());
}

#[test]
fn a_second_run_says_so() {
    let written = write_exports(&Built::whole().wasm()).unwrap();
    let error = write_exports(&written).unwrap_err();
    assert_eq!(error, ModuleError::Written);
    assert!(error.to_string().contains("written already"));
}

#[test]
fn what_is_needed_is_asked_for() {
    for name in NEEDED {
        assert_eq!(Built::whole().remove(name).error(), ModuleError::Missing(name));
    }
    assert_eq!(Built::bare().error(), ModuleError::Missing("memory"));
}

#[test]
fn a_callback_that_nobody_would_call_is_refused() {
    let mut built = Built::whole();
    built.export("pintle_on_requst_headers", &[I32, I32, I32], &[I32]);
    assert_eq!(built.error(), ModuleError::Unknown("pintle_on_requst_headers".to_owned()));
}

#[test]
fn a_callback_of_another_type_is_refused() {
    type Types = &'static [ValType];
    let others: [(Types, Types); 4] = [
        (&[I32], &[]),
        (&[I32, I32], &[I32]),
        (&[I32, I32, ValType::I64], &[I32]),
        (&[I32, I32, I32], &[ValType::I64]),
    ];
    for (parameters, results) in others {
        let mut built = Built::whole();
        built.export("pintle_on_request_headers", parameters, results);
        assert_eq!(built.error(), ModuleError::Mistyped("pintle_on_request_headers".to_owned()));
    }
    let mut built = Built::whole();
    let memory = built.0.memories.iter().next().unwrap().id();
    built.0.exports.add("pintle_on_tick", memory);
    assert_eq!(built.error(), ModuleError::Mistyped("pintle_on_tick".to_owned()));
}

#[test]
fn what_is_not_wasm_is_refused() {
    let wasm = Built::whole().wasm();
    for input in [&b""[..], b"\x7fELF", b"\0asm", b"\0asm\x0d\0\x01\0", b"#!/bin/sh"] {
        assert_eq!(write_exports(input), Err(ModuleError::NotWasm));
    }
    let cut = write_exports(&wasm[..wasm.len() / 2]);
    assert!(matches!(cut, Err(ModuleError::Invalid(_))), "{cut:?}");
}

#[test]
fn two_exports_of_one_name_are_refused() {
    let mut built = Built::whole();
    built.export("pintle_on_tick", &[I32], &[]);
    built.export("pintle_on_tick", &[I32], &[]);
    assert!(matches!(built.error(), ModuleError::Invalid(_)));
}
