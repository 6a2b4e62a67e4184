use super::*;
use proptest::prelude::*;

fn allow(json: &str) -> Result<Changes, String> {
    match Verdict::decode(ALLOW, json.as_bytes())? {
        Verdict::Allow(changes) => Ok(Changes::clone(&changes)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_are_read() {
    let changes = allow(
        r#"{"set":[["x-a","1"],["x-a","2"]],"remove":["x-b"],"path":"/a/./b%7e","query":"","upstream":"web","claims":{"sub":"x"}}"#,
    )
    .expect("sound");
    assert_eq!(changes.set.len(), 2);
    assert_eq!(changes.path.as_deref(), Some("/a/b~"));
    assert_eq!(changes.query.as_deref(), Some(""));
    assert_eq!(changes.claims["sub"], "x");
}

#[test]
fn what_no_request_can_have_is_refused() {
    for wrong in [
        r#"{"set":[["x a","1"]]}"#,
        r#"{"set":[["x-a","1\r\nx-b: 2"]]}"#,
        r#"{"set":[["x-a"," 1"]]}"#,
        r#"{"set":[["Host","x"]]}"#,
        r#"{"set":[["Transfer-Encoding","chunked"]]}"#,
        r#"{"remove":["content-length"]}"#,
        r#"{"path":"a"}"#,
        r#"{"path":"/a b"}"#,
        r#"{"path":"/a?b"}"#,
        r#"{"path":"/a\r\nx"}"#,
        r#"{"query":"a b"}"#,
        r#"{"query":"a#b"}"#,
        r#"{"client":""}"#,
        r#"{"client":"a\nb"}"#,
        r#"{"key":""}"#,
        r#"{"unknown":1}"#,
        "",
        "5",
    ] {
        assert!(allow(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_key_is_no_longer_than_it_may_be() {
    let keyed = |length: usize| allow(&format!(r#"{{"key":"{}"}}"#, "k".repeat(length)));
    assert_eq!(keyed(LONGEST_KEY).expect("sound").key.map(|key| key.len()), Some(LONGEST_KEY));
    assert!(keyed(LONGEST_KEY + 1).is_err_and(|why| why.contains("a key of 257 bytes")));
}

#[test]
fn what_no_answer_can_have_is_refused() {
    let deny = |json: &str| Verdict::decode(DENY, json.as_bytes());
    assert!(deny(r#"{"status":403,"code":"staff_only","detail":null,"headers":[["x-a","b"]]}"#).is_ok());
    for wrong in [
        r#"{"status":200,"code":"x"}"#,
        r#"{"status":600,"code":"x"}"#,
        r#"{"status":403,"code":"X"}"#,
        r#"{"status":403,"code":""}"#,
        r#"{"status":403,"code":"x","headers":[["connection","close"]]}"#,
    ] {
        assert!(deny(wrong).is_err(), "{wrong}");
    }
    let answer = |head: &str, body: &str| {
        let length = (head.len() as u32).to_le_bytes();
        Verdict::decode(ANSWER, &[&length[..], head.as_bytes(), body.as_bytes()].concat())
    };
    let sound = answer(r#"{"status":200,"content_type":"text/plain"}"#, "hello");
    assert!(matches!(sound, Ok(Verdict::Answer(reply)) if reply.body == b"hello"));
    assert!(answer(r#"{"status":101,"content_type":"text/plain"}"#, "").is_err());
    assert!(answer(r#"{"status":200,"content_type":"text/plain\n"}"#, "").is_err());
    assert!(Verdict::decode(ANSWER, b"\xff\xff\xff\xff{}").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_verdict_or_none(kind in 0u8..7, rest in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Verdict::decode(kind, &rest);
    }
}

fn edit(json: &str) -> Result<Edit, String> {
    match Verdict::decode(EDIT, json.as_bytes())? {
        Verdict::Edit(edit) => Ok(*edit),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_changed_within_what_it_can_be() {
    let changed = edit(r#"{"status":404,"set":[["Content-Type","text/x"]],"remove":["etag"]}"#);
    assert_eq!(changed.expect("sound").status, Some(404));
    assert_eq!(edit("{}"), Ok(Edit::default()));
    for wrong in [
        r#"{"status":101}"#,
        r#"{"status":204}"#,
        r#"{"status":205}"#,
        r#"{"status":304}"#,
        r#"{"status":600}"#,
        r#"{"set":[["content-length","1"]]}"#,
        r#"{"set":[["x-request-id","1"]]}"#,
        r#"{"set":[["pylos-reason","1"]]}"#,
        r#"{"remove":["Date"]}"#,
        r#"{"set":[["x","a\r\nb: c"]]}"#,
        r#"{"path":"/"}"#,
    ] {
        assert!(edit(wrong).is_err(), "{wrong}");
    }
}
