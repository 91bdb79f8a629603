//! The layouts beside one another, and beside what people write today: SQL with pgvector under row security, from a client
//! that wastes nothing (prepared statements, one journey for a whole transaction). A hundred users with a thousand memories.

use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use locule_testbed::{Flavour, Postgres, Setup};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client as Database, NoTls, Statement};

use crate::Options;
use crate::client::{Client, Load, load, request};
use crate::data::{MEMORIES, QUERIES, Source, base64, batch, json_array, memory};
use crate::report::{Aim, Report, median, quantile};
use crate::server::{Server, scratch};

const USERS: usize = 100;
const EACH: usize = 1_000;
const CLIENTS: usize = 16;
const LAYOUTS: [&str; 4] = ["file", "rls", "schema", "database"];

pub fn measure(options: &Options, report: &mut Report) {
    if !Flavour::Eighteen.is_installed() {
        eprintln!("there is no PostgreSQL with pgvector here (.ci/services brings one): its part is left out");
        return;
    }
    let postgres = Postgres::start(Setup::new(Flavour::Eighteen).max_connections(300));
    let plain = plain(&postgres, options, report);
    for layout in LAYOUTS {
        let users = if layout == "database" { USERS.min(options.users).min(20) } else { USERS };
        let rate = one(&postgres, layout, users, options, report);
        report.held(format!("search, {layout}, HTTP ÷ plain SQL with pgvector"), rate / plain, "×", Aim::AtLeast(3.0));
    }
}

/// One layout; gives its searches per second.
fn one(postgres: &Postgres, layout: &str, users: usize, options: &Options, report: &mut Report) -> f64 {
    let place = scratch(options);
    let data = place.path().join("data");
    let database = format!("bench_{layout}");
    let mut settings = vec![("LOCULE_STORAGE_LAYOUT", layout.to_owned())];
    if layout != "file" {
        postgres.create_database(&database);
        let admin = postgres.url_to(&database);
        let address = admin.split_once('@').map(|(_, address)| format!("postgres://{address}")).expect("a URL");
        settings.push(("LOCULE_POSTGRES_URL", address));
        settings.push(("LOCULE_POSTGRES_PREFIX", database.clone()));
        let migrated = Command::new(&options.server)
            .args(["migrate", "--admin-url", &admin, "--data", &data.display().to_string()])
            .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
            .output()
            .expect("the program runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    } else {
        crate::server::run(&options.server, &["init", "--data", &data.display().to_string()]);
    }
    let server = Server::with(options, &data, &settings);
    let tokens: Vec<String> = (0..users).map(|user| server.token(&format!("user-{user}"))).collect();

    let mut client = Client::new(server.address);
    let mut source = Source::new(MEMORIES);
    let mut first = Vec::new();
    for token in &tokens {
        let one = request("POST", "/api/me/memories", token, &memory(&mut source, EACH, base64));
        let began = Instant::now();
        assert_eq!(client.send(&one), 201, "{}", String::from_utf8_lossy(client.body()));
        first.push(began.elapsed().as_secs_f64() * 1e3);
        let rest = request("POST", "/api/me/memories", token, &batch(&mut source, 0, EACH - 1, base64));
        assert_eq!(client.send(&rest), 201, "{}", String::from_utf8_lossy(client.body()));
    }
    report.figure(format!("a user's first memory, {layout}, median"), median(&mut first), "ms");

    let searches: Vec<Vec<Vec<u8>>> = (0..CLIENTS)
        .map(|client| {
            let mut source = Source::new(QUERIES + client as u64);
            (0..64)
                .map(|query| {
                    let body = format!("{{\"embedding\":{},\"limit\":10}}", json_array(&source.vector()));
                    request("POST", "/api/me/memories/search", &tokens[(client * 7 + query) % users], &body)
                })
                .collect()
        })
        .collect();
    load(server.address, searches.clone(), 2, 200);
    let before = server.cpu_s();
    let mut seen = load(server.address, searches, options.seconds, 200);
    let rate = seen.per_second;
    let cpu_us = (server.cpu_s() - before) * 1e6 / seen.requests as f64;
    report.figure(format!("search 1,000, {layout}, HTTP, {CLIENTS} clients"), seen.per_second, "/s");
    report.figure(format!("search 1,000, {layout}, server's CPU"), cpu_us, "µs");
    report.figure(format!("search 1,000, {layout}, p99"), quantile(&mut seen.latencies_us, 0.99) / 1e3, "ms");

    let mut number = EACH;
    let adds: Vec<Vec<Vec<u8>>> = (0..CLIENTS)
        .map(|client| {
            (0..options.seconds as usize * 400)
                .map(|_| {
                    number += 1;
                    request("POST", "/api/me/memories", &tokens[client % users], &memory(&mut source, number, base64))
                })
                .collect()
        })
        .collect();
    let mut seen = load(server.address, adds, options.seconds.min(2), 201);
    report.figure(format!("durable add, {layout}, {CLIENTS} writers"), seen.per_second, "/s");
    report.figure(format!("durable add, {layout}, median"), median(&mut seen.latencies_us) / 1e3, "ms");

    let mut erased = Vec::new();
    for token in tokens.iter().take(10) {
        let one = request("DELETE", "/api/me", token, "");
        // The one from before was idle for so long that it was closed.
        let mut client = Client::new(server.address);
        let began = Instant::now();
        // Dropping a database waits for a checkpoint; one that takes long is told to ask again, as a client would.
        while client.send(&one) == 503 {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", String::from_utf8_lossy(client.body()));
            client = Client::new(server.address);
        }
        erased.push(began.elapsed().as_secs_f64() * 1e3);
    }
    report.figure(format!("erase of 1,000 memories, {layout}, median"), median(&mut erased), "ms");
    if layout == "rls" {
        policy(postgres, &database, report);
    }
    rate
}

const SEARCH: &str = "SELECT id, memory, metadata, 1 - (embedding <=> $1::text::vector) AS score FROM plain_memories \
     ORDER BY embedding <=> $1::text::vector LIMIT 10";

/// What people write: one table, a policy, an index on the owner, pgvector's exact order. Gives its searches per second.
fn plain(postgres: &Postgres, options: &Options, report: &mut Report) -> f64 {
    postgres.create_database("plain");
    postgres.psql_in(
        "plain",
        "CREATE EXTENSION vector;
         CREATE ROLE plain_client LOGIN PASSWORD 'plain';
         CREATE TABLE plain_memories (
             id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL, memory text NOT NULL,
             metadata jsonb NOT NULL DEFAULT '{}', embedding vector(384) NOT NULL, created_at timestamptz DEFAULT now());
         CREATE INDEX ON plain_memories (user_id);
         ALTER TABLE plain_memories ENABLE ROW LEVEL SECURITY;
         ALTER TABLE plain_memories FORCE ROW LEVEL SECURITY;
         CREATE POLICY own ON plain_memories USING (user_id = (SELECT current_setting('app.user', true)))
             WITH CHECK (user_id = (SELECT current_setting('app.user', true)));
         GRANT SELECT, INSERT, DELETE ON plain_memories TO plain_client;",
    );
    let url = postgres.url_for("plain_client", "plain", "plain");
    let mut filler = Plain::new(&url);
    let mut source = Source::new(MEMORIES);
    for user in 0..USERS {
        let rows: Vec<String> = (0..EACH)
            .map(|number| format!("('user-{user}', '{}', '{}')", source.text(number), json_array(&source.vector())))
            .collect();
        filler.batch(&format!(
            "BEGIN; SELECT set_config('app.user', 'user-{user}', true);
             INSERT INTO plain_memories (user_id, memory, embedding) VALUES {}; COMMIT",
            rows.join(",")
        ));
    }
    postgres.psql_in("plain", "VACUUM ANALYZE plain_memories");
    let barrier = Barrier::new(CLIENTS);
    let run = |seconds: u64| -> Load {
        let latencies: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (barrier, url) = (&barrier, &url);
                    scope.spawn(move || {
                        let mut source = Source::new(QUERIES + client as u64);
                        let queries: Vec<String> = (0..64).map(|_| json_array(&source.vector())).collect();
                        let mut database = Plain::new(url);
                        let mut latencies = Vec::new();
                        barrier.wait();
                        let end = Instant::now() + Duration::from_secs(seconds);
                        for (index, query) in queries.iter().cycle().enumerate() {
                            let began = Instant::now();
                            if began >= end {
                                break;
                            }
                            database.search(&format!("user-{}", (client * 7 + index % 64) % USERS), query);
                            latencies.push(began.elapsed().as_secs_f64() * 1e6);
                        }
                        latencies
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().expect("a client ends")).collect()
        });
        let latencies_us: Vec<f64> = latencies.into_iter().flatten().collect();
        Load { per_second: latencies_us.len() as f64 / seconds as f64, requests: latencies_us.len(), latencies_us }
    };
    run(1);
    let mut seen = run(options.seconds);
    report.figure(format!("search 1,000, plain SQL with pgvector, {CLIENTS} clients"), seen.per_second, "/s");
    report.figure("search 1,000, plain SQL with pgvector, p99", quantile(&mut seen.latencies_us, 0.99) / 1e3, "ms");
    seen.per_second
}

/// A well-written client: everything prepared, and a whole transaction on one journey.
struct Plain {
    runtime: Runtime,
    database: Database,
    identity: Statement,
    search: Option<Statement>,
}

impl Plain {
    fn new(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (database, identity, search) = runtime.block_on(async {
            let (database, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
            tokio::spawn(connection);
            let identity = database.prepare("SELECT set_config('app.user', $1, true)").await.expect("prepared");
            let search = database.prepare(SEARCH).await.ok();
            (database, identity, search)
        });
        Plain { runtime, database, identity, search }
    }

    fn batch(&mut self, sql: &str) {
        self.runtime.block_on(self.database.batch_execute(sql)).expect("it runs");
    }

    fn search(&mut self, user: &str, query: &str) {
        let search = self.search.as_ref().expect("the table is there");
        let (user, query): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 1]) = ([&user], [&query]);
        let all = async {
            tokio::try_join!(
                self.database.batch_execute("BEGIN READ ONLY"),
                self.database.query(&self.identity, &user),
                self.database.query(search, &query),
                self.database.batch_execute("COMMIT"),
            )
        };
        let (.., rows, ()) = self.runtime.block_on(all).expect("it answers");
        assert_eq!(rows.len(), 10);
    }
}

/// What the policy costs over an explicit filter, at a hundred thousand rows.
fn policy(postgres: &Postgres, database: &str, report: &mut Report) {
    postgres.psql_in(database, "ANALYZE public.memories");
    let time = |bind: &str, filter: &str| {
        // Twelve runs in the server, the least of them: the way there and back is no part of it.
        let script = format!(
            "BEGIN; {bind} EXPLAIN (ANALYZE, TIMING OFF, SUMMARY ON) SELECT count(memory) FROM public.memories {filter}; COMMIT;"
        );
        (0..12)
            .map(|_| {
                let said = postgres.psql_in(database, &script);
                let line = said.lines().find_map(|line| line.trim().strip_prefix("Execution Time: ")).expect("a time");
                line.trim_end_matches(" ms").parse::<f64>().expect("a number")
            })
            .fold(f64::MAX, f64::min)
    };
    let bound = format!(
        "SELECT set_config('role', '{database}_user', true), set_config('request.jwt.claims', '{{\"sub\": \"user-50\"}}', true);"
    );
    let policy = time(&bound, "");
    let filter = time("", "WHERE user_id = 'user-50'");
    report.figure("a user's rows among 100,000, explicit filter", filter, "ms");
    report.held("a user's rows among 100,000, policy ÷ explicit filter", policy / filter, "×", Aim::AtMost(2.0));
}
