//! Serving, as far as the command line has to do with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::home::Home;

/// A server that is stopped when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server on a free port; what it says of itself.
fn start(home: &Home, arguments: &[&str]) -> (Server, Value) {
    let arguments = [&["serve", "--json", "--listen", "127.0.0.1:0", "--operator-listen", "off"], arguments].concat();
    let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Server(child), serde_json::from_str(&line).unwrap())
}

/// One request; its status and body.
fn ask(address: &str, path: &str, credential: &str, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {credential}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

fn found(answer: &(u16, Value)) -> Vec<String> {
    let hits = answer.1["results"].as_array().unwrap().iter();
    hits.map(|hit| hit["memory"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn dev_makes_what_is_missing_and_alice_finds_what_bob_does_not() {
    let home = Home::bare();
    let (_server, said) = start(&home, &["--dev"]);
    let address = said["listen"].as_str().unwrap();
    let dev = |name: &str| said["dev"][name].as_str().unwrap().to_owned();
    let (alice, bob, key) = (dev("alice"), dev("bob"), dev("service_key"));
    let memory = json!({"memory": "I'm allergic to peanuts"});
    assert_eq!(ask(address, "/api/me/memories", &alice, &memory).0, 201);
    let question = json!({"query": "what food should I avoid?"});
    let search = |path: &str, credential: &str| found(&ask(address, path, credential, &question));
    assert_eq!(search("/api/me/memories/search", &alice), ["I'm allergic to peanuts"]);
    assert_eq!(search("/api/me/memories/search", &bob), [""; 0]);
    assert_eq!(search("/api/alice/memories/search", &key), ["I'm allergic to peanuts"]);
    assert_eq!(ask(address, "/api/alice/memories/search", &bob, &question).0, 403);
}

#[test]
fn commands_work_beside_a_running_server_and_take_effect_in_it() {
    let home = Home::new();
    let (_server, said) = start(&home, &[]);
    let address = said["listen"].as_str().unwrap();
    let token = |user| home.run(&["token", user]).done().trim_end().to_owned();
    let (alice, bob) = (token("alice"), token("bob"));
    let key = home.run(&["key", "create", "--service", "--act-as", "*", "--json"]).json();
    let add = |credential: &str, path: &str| ask(address, path, credential, &json!({"memory": "likes tea"})).0;
    assert_eq!((add(&alice, "/api/me/memories"), add(&bob, "/api/me/memories")), (201, 201));
    assert_eq!(add(key["key"].as_str().unwrap(), "/api/carol/memories"), 201);
    assert_eq!(home.run(&["user", "usage", "alice", "--json"]).json()["memories"], 1);

    home.run(&["user", "suspend", "alice"]).done();
    home.run(&["key", "revoke", key["id"].as_str().unwrap()]).done();
    assert_eq!((add(&alice, "/api/me/memories"), add(&bob, "/api/me/memories")), (403, 201));
    assert_eq!(add(key["key"].as_str().unwrap(), "/api/carol/memories"), 401);

    home.run(&["user", "erase", "bob", "--yes"]).done();
    assert_eq!(add(&bob, "/api/me/memories"), 401);
    home.run(&["audit", "verify", "--all"]).done();
    home.run(&["doctor"]).done();
}

#[test]
fn dev_prints_three_commands_that_can_be_pasted() {
    let home = Home::bare();
    let arguments = ["serve", "--dev", "--listen", "127.0.0.1:0", "--operator-listen", "off"];
    let mut child = home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<String> = lines.take_while(|line| !line.starts_with("Stop with")).collect();
    let _server = Server(child);
    let commands: Vec<&str> = said.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 3, "{said:?}");
    // The log, which stands above, names no credential.
    let token = said.iter().find_map(|line| line.trim().strip_prefix("alice  ")).unwrap();
    let log: Vec<&String> = said.iter().filter(|line| line.contains(" INFO ")).collect();
    assert!(!log.is_empty() && log.iter().all(|line| !line.contains(token)));
    // Where there is a curl, they are pasted.
    if Command::new("curl").arg("--version").output().is_ok() {
        let answers: Vec<String> = commands
            .iter()
            .map(|command| {
                String::from_utf8(Command::new("sh").args(["-c", command]).output().unwrap().stdout).unwrap()
            })
            .collect();
        assert!(answers[0].contains("peanuts") && answers[1].contains("peanuts"), "{answers:?}");
        assert_eq!(answers[2].trim_end(), r#"{"results":[]}"#);
    }
}

#[test]
fn starting_again_and_again_does_not_heap_up_keys() {
    let home = Home::bare();
    home.run(&["init"]).done();
    home.run(&["key", "create", "--operator", "--name", "mine"]).done();
    for _ in 0..11 {
        drop(start(&home, &["--dev"]));
    }
    let keys = home.run(&["key", "list", "--json"]).json();
    let keys = keys.as_array().unwrap();
    assert_eq!(keys.iter().filter(|key| key["kind"] == "service").count(), 8);
    assert!(keys.iter().filter(|key| key["kind"] == "service").all(|key| key["expires_at"].is_string()));
    assert!(keys.iter().any(|key| key["name"] == "mine"));
}

#[test]
fn the_operators_address_opens_to_other_machines_only_on_purpose() {
    let home = Home::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7401"] {
        home.run(&["serve", "--operator-listen", address]).refused(2, "--operator-public");
        home.run_with(&["serve"], &[("LOCULE_OPERATOR_LISTEN", address)]).refused(2, "--operator-public");
    }
    home.run(&["serve", "--operator-listen", "nowhere"]).refused(2, "`off`");
    home.run(&["serve", "--listen", "localhost:7400"]).refused(2, "127.0.0.1:7400");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = home.run(&["serve", "--listen", &address, "--operator-listen", "off"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains(&address) && run.err.contains("--listen"), "{run:?}");
}
