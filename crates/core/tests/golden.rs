//! The tables of `tests/golden/tables`: each compiles to the listing beside it.

use pylos_core::route::rows;
use pylos_core::table::{RawTable, compile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tables").join(name)
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(golden(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

#[test]
fn every_table_has_its_listing() {
    let mut tables = 0;
    for entry in std::fs::read_dir(golden("")).expect("the folder of tables") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        if name.ends_with(".routes.json") {
            continue;
        }
        let raw: RawTable = serde_json::from_value(read(&name)).expect(&name);
        let (table, warnings) = compile(raw).expect(&name);
        let found = json!({ "routes": rows(&table), "warnings": warnings });
        let expected = read(&name.replace(".json", ".routes.json"));
        assert_eq!(found, expected, "{name}: {found:#}");
        tables += 1;
    }
    assert!(tables > 0);
}
