//! The tables of `tests/golden`, which the tests in Python read too: those of `tables` compile to the listing
//! beside them, those of `lower` (what files are lowered to) compile without a problem.

use pylos_core::route::rows;
use pylos_core::table::{Problem, RawTable, Table, compile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(golden(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// The JSON files of a folder.
fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(golden(folder)).expect(folder);
    let names =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"));
    let names: Vec<String> = names.filter(|name| name.ends_with(".json")).collect();
    assert!(!names.is_empty(), "{folder}");
    names.into_iter().map(|name| format!("{folder}/{name}")).collect()
}

fn compiled(name: &str) -> (Table, Vec<Problem>) {
    let raw: RawTable = serde_json::from_value(read(name)).expect(name);
    compile(raw).expect(name)
}

#[test]
fn every_table_has_its_listing() {
    for name in names("tables").into_iter().filter(|name| !name.ends_with(".routes.json")) {
        let (table, warnings) = compiled(&name);
        let found = json!({ "routes": rows(&table), "warnings": warnings });
        let expected = read(&name.replace(".json", ".routes.json"));
        assert_eq!(found, expected, "{name}: {found:#}");
    }
}

#[test]
fn what_files_are_lowered_to_compiles() {
    for name in names("lower") {
        assert_eq!(compiled(&name).1, [], "{name}");
    }
}
