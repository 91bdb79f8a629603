//! Takes a minute, and services that `.ci/services --failover` installs: `make failover` runs it.

use locule_testbed::{Etcd, Patroni};

#[test]
#[ignore = "takes a minute, and needs what `.ci/services --failover` installs"]
fn another_node_leads_when_the_primary_is_killed() {
    let etcd = Etcd::start();
    let cluster = Patroni::start(2, &etcd);
    cluster.psql("CREATE TABLE thing AS SELECT 42 AS number");

    let killed = cluster.kill_primary();
    let next = cluster.wait_for_primary();
    assert_ne!(killed, next);
    assert_eq!(cluster.psql("SELECT number FROM thing"), "42");

    cluster.start_node(killed);
    cluster.wait_until_whole();
    assert_eq!(cluster.primary(), Some(next));
}
