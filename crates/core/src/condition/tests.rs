use super::*;
use crate::facts::Client;
use proptest::prelude::*;
use serde_json::json;
use std::net::IpAddr;

/// A request as a client could send it.
#[derive(Default)]
struct Asked {
    query: Option<&'static str>,
    fields: Vec<(&'static str, &'static str)>,
    ip: Option<IpAddr>,
    client: Option<Client>,
}

impl Facts for Asked {
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn host(&self) -> &[u8] {
        b"shop.example.com"
    }
    fn path(&self) -> &[u8] {
        b"/v1/Orders/7"
    }
    fn query(&self) -> Option<&[u8]> {
        self.query.map(str::as_bytes)
    }
    fn https(&self) -> bool {
        true
    }
    fn client_ip(&self) -> Option<IpAddr> {
        self.ip
    }
    fn any_field(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.fields.iter().any(|(name, value)| test(name.as_bytes(), value.as_bytes()))
    }
    fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }
}

fn asked() -> Asked {
    let claims =
        json!({"role": "staff", "level": 3, "groups": ["a", "b"], "org": {"name": "x"}, "ratio": 0.5});
    Asked {
        query: Some("q=a%20b&debug&q=a%20%62&n=7&two=1&two=2&plus=a+b"),
        fields: vec![
            ("X-Beta", "1"),
            ("x-beta", "2"),
            ("Cookie", "a=1"),
            ("cookie", "b=2"),
            ("accept", "text/html"),
        ],
        ip: Some(IpAddr::from([10, 1, 2, 3])),
        client: Some(Client {
            id: "consumer:acme".into(),
            named: true,
            plan: Some("gold".into()),
            claims: claims.as_object().cloned().expect("an object"),
        }),
    }
}

fn holds(text: &str, facts: &Asked) -> Result<bool, CannotTell> {
    Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}")).holds(facts)
}

#[test]
fn what_holds() {
    for text in [
        "true",
        "request.method == 'GET' && request.scheme == 'https' && request.host == 'shop.example.com'",
        "request.method in ['GET', 'HEAD']",
        "request.path.startsWith('/v1/') && !request.path.endsWith('/') && request.path.contains('Orders')",
        "request.path.matches('^/v[0-9]+/') && !request.path.matches(r'\\d{2}')",
        "request.path.lowerAscii() == '/v1/orders/7' && request.host.upperAscii().startsWith('SHOP')",
        "request.path.size() == 12 && size(request.path) == 12",
        "request.path.substring(4) == 'Orders/7' && request.path.indexOf('/', 1) == 3",
        "request.path.charAt(1) == 'v' && ' a '.trim() == 'a' && request.path.lastIndexOf('/') == 10",
        "request.query.q == 'a b' && request.query['n'] == '7' && int(request.query.n) > 6",
        "has(request.query.debug) && !has(request.query.other) && 'debug' in request.query",
        "request.headers['x-beta'].contains('2') || request.headers['x-beta'].contains('1')",
        "request.headers.cookie == 'a=1; b=2' && request.headers.accept == 'text/html'",
        "request.headers['x-none'] == '' && request.query.nothing != 'x' && !has(request.query.nothing)",
        "has(request.query.two) && request.query.two != '3' && request.query.all(name, size(name) < 6)",
        "has(request.headers.accept) && !('authorization' in request.headers)",
        "request.headers.exists(name, name.startsWith('x-')) && request.headers.size() == 3",
        "client.id == 'consumer:acme' && client.ip.startsWith('10.1.') && client.plan != ''",
        "client.claims.role == 'staff' && client.claims.level >= 3 && client.claims.ratio < 1.0",
        "'a' in client.claims.groups && client.claims.groups.exists(g, g == 'b') && client.claims.org.name == 'x'",
        "has(client.claims.role) && !has(client.claims.nothing)",
        "type(client.claims.level) == int && string(client.claims.level) == '3' && bool('true')",
        "(request.path == '/' ? client.plan : request.method) == 'GET'",
        // What cannot be told does not matter where the other side settles it.
        "request.headers.nothing == 'x' || true",
        "['a', 'b'].map(x, x + 'c').exists_one(x, x == 'ac') && [1, 2].filter(n, n > 1).size() == 1",
        "request.path != '' // a word on why\n && true",
    ] {
        assert_eq!(holds(text, &asked()), Ok(true), "{text}");
    }
}

#[test]
fn a_client_without_a_name_has_its_address() {
    let facts = Asked { ip: Some(IpAddr::from([192, 0, 2, 1])), ..Asked::default() };
    assert_eq!(
        holds("client.id == 'ip:192.0.2.1' && client.plan == '' && size(client.claims) == 0", &facts),
        Ok(true)
    );
    assert_eq!(
        holds("client.id == 'unix' && client.ip == '' && size(request.query) == 0", &Asked::default()),
        Ok(true)
    );
}

#[test]
fn what_cannot_be_told_is_an_error_without_the_values() {
    for (text, words) in [
        ("client.claims.nothing == '1'", "no `nothing`"),
        ("request.query.two == '1'", "more than one way"),
        ("request.query.two == '2'", "more than one way"),
        ("request.query.plus == 'a+b'", "more than one way"),
        ("request.headers['x-beta'] == '1'", "more than one way"),
        ("request.headers['x-beta'].startsWith('2')", "more than one way"),
        ("client.claims.role > 3", "do"),
        ("int(request.headers.accept) > 1", "failed"),
        ("client.claims.org", "neither true nor false"),
        ("1 / (size(request.query.q) - 3) == 1", "division"),
        ("client.claims.groups[7] == 'a'", "bounds"),
    ] {
        let CannotTell(told) = holds(text, &asked()).expect_err(text);
        assert!(
            told.contains(words) && !told.contains("text/html") && !told.contains("staff"),
            "{text}: {told}"
        );
    }
}

#[test]
fn mistakes_have_their_column_and_what_was_meant() {
    for (text, column, words) in [
        ("", 1, "no expression"),
        ("request.method ==", 18, "too early"),
        ("request.method = 'GET'", 16, "`==` compares"),
        ("true and false", 6, "`&&`"),
        ("request.path == '/x", 17, "ends with the quote"),
        ("request.mehtod == 'GET'", 8, "`request.method`"),
        ("request.url == 'x'", 8, "headers, host, method"),
        ("reqest.path == 'x'", 1, "`request`"),
        ("path == 'x'", 1, "`request.path`"),
        ("client == 'x'", 1, "`client.id`"),
        ("user == 'x'", 1, "`request` and `client`"),
        ("request.path.startWith('/')", 23, "`startsWith`"),
        ("request.path.startsWith()", 24, "takes 1"),
        ("startsWith(request.path, '/')", 11, "called on a value"),
        ("size(request.path, 1) == 1", 5, "takes one value"),
        ("request.path.exists('x')", 20, "CONDITION"),
        ("request.path.replace('a', 'b') == ''", 21, "no function"),
        ("now() > 1", 4, "no function `now`"),
        ("request.path", 8, "a text, not true or false"),
        ("size(request.path)", 5, "a number, not true or false"),
        ("request.headers", 8, "a map"),
        ("true && request.path", 16, "a text"),
        ("!request.method", 9, "a text"),
        ("request.method == 1", 16, "do not compare"),
        ("request.headers['X-A'] == 'b'", 16, "lower case"),
        ("request.headers.x_role == 'b'", 16, "`request.headers['x-role']`"),
        ("request.headers.host == 'b'", 16, "`request.host`"),
        ("'x-forwarded-for' in request.headers", 19, "`client.ip`"),
        ("has(request.headers.te)", 4, "one connection"),
        ("request.path - 'a' == 'b'", 8, "not a number"),
        ("'a' + 1 == 'b'", 5, "do not add up"),
        ("['a'].map(x, x).map(x, x).map(x, x).map(x, x).map(x, x) == []", 10, "4 loops"),
        ("has(request.path)", 4, "always there"),
        ("request.path.matches('(')", 22, "unclosed group"),
        ("request.path.matches(request.host)", 29, "in quotes"),
        ("request.query.exists(a, request.query.exists(b, a == b))", 45, "loop inside of a loop"),
        ("['a'].exists(request, request == 'a')", 13, "is taken"),
        ("request.path == {'a': 'b'}.a", 17, "no maps"),
        ("request['path'] == 'x'", 1, "as a whole"),
        ("1 +", 4, "too early"),
        ("a.b.c", 1, "there is no `a`"),
    ] {
        let error = Condition::parse(text).map(|_| ()).expect_err(text);
        let told = format!("{} {}", error.message, error.hint.as_deref().unwrap_or_default());
        assert!(told.contains(words), "{text}: {error:?}");
        assert_eq!(error.column, column, "{text}: {error:?}");
    }
}

#[test]
fn long_and_deep_texts_are_refused_before_they_are_read() {
    let nested = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    let chain = |n: usize| vec!["true"; n].join(" && ");
    let choices = |n: usize| format!("{}true", "true ? true : ".repeat(n));
    let nots = |n: usize| format!("{}true", "!".repeat(n));
    let selects = |n: usize| format!("client.claims{} == 1", ".a".repeat(n));
    let sums = |n: usize| format!("1{} == 1", " + 1".repeat(n));
    for shape in [&nested as &dyn Fn(usize) -> String, &chain, &choices, &nots, &selects, &sums] {
        let sizes: Vec<usize> = (1..2000).step_by(7).collect();
        let most =
            sizes.iter().copied().take_while(|&n| Condition::parse(&shape(n)).is_ok()).last().unwrap_or(0);
        assert!(most >= 15, "{}", shape(1));
        assert!(Condition::parse(&shape(1999)).is_err(), "{}", shape(1));
        let condition = Condition::parse(&shape(most)).expect("a sound expression");
        let _ = condition.holds(&asked());
    }
    assert_eq!(Condition::parse(&format!("true{}", " ".repeat(5000))).expect_err("long").column, 4097);
}

/// Pieces of expressions, of which most texts are nonsense.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "request.path",
        "request.headers",
        "client.claims",
        ".x",
        "['x']",
        " == ",
        " && ",
        " || ",
        "!",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'a'",
        "\"",
        "'",
        "1",
        "-",
        " ? ",
        " : ",
        ".exists(x, ",
        ".matches('",
        "')",
        ".size()",
        ",",
        "true",
        "has(",
        " in ",
        "r'",
        "\\",
        "b'x'",
        "1u",
        "0x",
        "1e400",
        "//",
        "\n",
        "é",
        "99999999999999999999",
        ".",
        "@",
        "`",
        "$",
        "%",
        "x",
        "'''",
        "\\u",
        "null",
        "type(",
        "int('",
        "+",
        "*",
        "/",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_is_too_much(text in prop_oneof![pieces(), "\\PC{0,60}", "[(\\[{?:!.'\"\\\\a1 =&|-]{0,200}"]) {
        match Condition::parse(&text) {
            Ok(condition) => {
                let _ = condition.holds(&asked());
                let _ = condition.holds(&Asked::default());
            }
            Err(error) => prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1),
        }
    }
}

#[test]
fn a_request_may_be_read_otherwise_in_several_places() {
    let twice = |query: &'static str, fields: Vec<(&'static str, &'static str)>| Asked {
        query: Some(query),
        fields,
        ..Asked::default()
    };
    let both = "request.query.a == '2' && request.headers.b == 'x y'";
    for (query, fields) in [
        ("a=1&a=2", vec![("b", "w"), ("b", "x y")]),
        ("a=1&a=2&a=3", vec![("b", "w"), ("b", "x y"), ("b", "z")]),
        ("a=1&a=2", vec![("b", "x y")]),
        ("a=2", vec![("b", "w"), ("b", "x y")]),
    ] {
        assert!(holds(both, &twice(query, fields)).is_err(), "{query}");
    }
    assert_eq!(holds(both, &twice("a=1&a=3", vec![("b", "x y")])), Ok(false));
    // Two spellings, of which an application may see one.
    assert!(holds("request.headers['a-b'] == '2'", &twice("", vec![("a_b", "1"), ("A-B", "1")])).is_err());
    // Too many ways to look at.
    let query: &'static str = Box::leak("&a=1".repeat(100).into_boxed_str());
    assert!(holds("request.query.a == '2'", &twice(query, Vec::new())).is_err());
}
