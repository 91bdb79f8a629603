//! The gate: who gets in where, what a stranger is told, and what is written down.

use std::sync::Arc;

use locule_core::audit::{Outcome, SystemEntry};
use locule_core::auth::jwt::{Keys, Rules, Verifier, mint};
use locule_core::auth::{ActAs, Authenticator, KeyKind, NewKey, Principal, trusted};
use locule_core::clock::{ManualClock, Sources};
use locule_core::directory::State;
use locule_core::id::{Identity, Issuer, Subject};
use locule_core::policy::Act;
use locule_core::{Code, Error, Gate, Provision, Request, Result, Target};

use crate::support::{TestDirectory, identity, noon, noon_and, sources};
use crate::tokens::secret;

struct House {
    directory: Arc<TestDirectory>,
    gate: Gate,
    authenticator: Authenticator,
    clock: ManualClock,
    sources: Sources,
}

impl House {
    fn new(provision: Provision) -> Self {
        let directory = Arc::new(TestDirectory::default());
        let (sources, clock) = sources();
        let verifier = Verifier::new(Rules::default(), Keys::Secrets(vec![secret()])).unwrap();
        let authenticator = Authenticator::new(vec![verifier], directory.clone(), sources.clone());
        let gate = Gate::new(directory.clone(), provision, sources.clone());
        House { directory, gate, authenticator, clock, sources }
    }

    /// One in which Alice and Bob have been before.
    fn lived_in() -> Self {
        let house = House::new(Provision::Auto);
        house.directory.put(identity("alice"), State::Open, None);
        house.directory.put(identity("bob"), State::Open, None);
        house
    }

    /// Somebody with a token issued now.
    fn user(&self, name: &str) -> Principal {
        let subject = Subject::try_from(name).unwrap();
        let token = mint(&secret(), &Rules::default(), &subject, self.sources.now(), 3600).unwrap();
        self.authenticator.authenticate(&token).unwrap()
    }

    fn key(&self, kind: KeyKind) -> Principal {
        let NewKey { record, text } = NewKey::mint(kind, "test", None, &self.sources).unwrap();
        self.directory.put_key(record);
        self.authenticator.authenticate(&text).unwrap()
    }

    fn service(&self, act_as: &str) -> Principal {
        self.key(KeyKind::Service { issuer: Issuer::default(), act_as: ActAs::parse(act_as).unwrap() })
    }

    fn reader(&self, name: &str) -> Principal {
        self.key(KeyKind::User { identity: identity(name), read_only: true })
    }

    /// All three ways in, each with what it answers and what it leaves on record.
    fn knock(
        &self,
        principal: &Principal,
        target: Target,
        request: &Request,
    ) -> [(Result<Option<Identity>>, Vec<SystemEntry>); 3] {
        self.directory.take_entries();
        let space = |identity: &Identity| Some(identity.clone());
        let read = self.gate.read(principal, target, Act::ReadMemories, request);
        let read = (read.map(|scope| scope.origin().on_behalf_of.clone()), self.directory.take_entries());
        let write = self.gate.write(principal, target, Act::WriteMemories, request);
        let write = (write.map(|scope| scope.origin().on_behalf_of.clone()), self.directory.take_entries());
        let erase = self.gate.erase(principal, target, request);
        let erase = (erase.map(|erasure| space(erasure.identity())), self.directory.take_entries());
        [read, write, erase]
    }

    /// The one refusal that all three ways give, each leaving exactly one entry; as text with all there is to see of it.
    fn refused(&self, principal: &Principal, target: Target, request: &Request) -> (Code, String) {
        let answers = self.knock(principal, target, request).map(|(answer, entries)| {
            let error = answer.expect_err("refused");
            assert_eq!(entries.len(), 1, "{error:?}");
            assert_eq!(entries[0].outcome, Outcome::Denied(error.code()));
            assert_eq!(entries[0].request_id, request.id);
            assert_eq!(entries[0].time, self.sources.now());
            (error.code(), format!("{error:?}"))
        });
        let [read, write, erase] = answers;
        assert_eq!(read, write);
        assert_eq!(read, erase);
        read
    }
}

fn request() -> Request {
    Request { id: "r-1".to_owned(), ..Request::default() }
}

fn acting_as(name: &str) -> Request {
    Request { act_as: Some(name.to_owned()), ..request() }
}

fn also_naming(names: &[&str]) -> Request {
    Request { also_named: names.iter().map(|name| (*name).to_owned()).collect(), ..request() }
}

fn code<T>(result: Result<T>) -> Result<(), Code> {
    result.map(|_| ()).map_err(|error| error.code())
}

#[test]
fn ones_own_space_opens_by_any_of_its_names_and_leaves_no_denial() {
    let house = House::lived_in();
    let alice = house.user("alice");
    let expected = house.directory.put(identity("alice"), State::Open, None);
    for target in [Target::Own, Target::Named("alice")] {
        for request in [request(), also_naming(&["alice", "alice"])] {
            let read = house.gate.read(&alice, target, Act::ReadMemories, &request).unwrap();
            assert_eq!(read.space(), Some(&expected));
            assert_eq!((read.origin().request_id.as_str(), read.origin().act), ("r-1", Act::ReadMemories));
            assert_eq!(read.origin().on_behalf_of, None, "she acts for herself");
            let write = house.gate.write(&alice, target, Act::WriteMemories, &request).unwrap();
            assert_eq!(write.space(), Some(&expected));
            let erasure = house.gate.erase(&alice, target, &request).unwrap();
            assert_eq!(erasure.identity(), &identity("alice"));
        }
    }
    assert!(house.directory.take_entries().is_empty());
    assert_eq!(house.directory.provisioned(), 0);
}

#[test]
fn a_stranger_is_told_the_same_whether_the_user_exists_or_not() {
    let house = House::lived_in();
    let alice = house.user("alice");
    let refusals = ["bob", "nobody-ever", "Alice", "alice ", "", "..", "*", "me", &"x".repeat(10_000)]
        .map(|name| house.refused(&alice, Target::Named(name), &request()));
    assert_eq!(refusals[0].0, Code::NotYourSpace);
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]), "{refusals:?}");
    assert_eq!(house.directory.found(), 0, "and nobody was looked up to say so");
}

#[test]
fn a_denial_says_who_wanted_what_of_whom() {
    let house = House::lived_in();
    let alice = house.user("alice");
    let refusal = house.gate.read(&alice, Target::Named("bob"), Act::Export, &request());
    assert_eq!(code(refusal), Err(Code::NotYourSpace));
    let [entry] = &house.directory.take_entries()[..] else { panic!("not one entry") };
    assert_eq!((entry.actor.kind(), entry.actor.name()), ("user", "alice"));
    assert_eq!((entry.target.as_deref(), entry.act, entry.outcome.as_str()), (Some("bob"), "export", "not_your_space"));
}

#[test]
fn every_user_that_a_request_names_must_be_the_one_it_is_about() {
    let house = House::lived_in();
    let alice = house.user("alice");
    let refusals = [&["bob"][..], &["nobody-ever"], &["alice", "bob"], &["Alice"], &[""], &["*"]]
        .map(|names| house.refused(&alice, Target::Own, &also_naming(names)));
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]), "{refusals:?}");
    assert_eq!(refusals[0].0, Code::NotYourSpace);
    // A service acts for one user per request, too.
    let service = house.service("*");
    let for_alice = Target::Named("alice");
    assert_eq!(house.refused(&service, for_alice, &also_naming(&["bob"])), refusals[0]);
    assert!(house.gate.read(&service, for_alice, Act::ReadMemories, &also_naming(&["alice"])).is_ok());
    assert_eq!(house.directory.found(), 1);
}

#[test]
fn a_service_acts_for_whom_it_names_and_may() {
    let house = House::lived_in();
    let service = house.service("al*");
    for (target, request) in [
        (Target::Named("alice"), request()),
        (Target::Own, acting_as("alice")),
        (Target::Named("alice"), acting_as("alice")),
    ] {
        for (answer, entries) in house.knock(&service, target, &request) {
            assert_eq!(answer.unwrap(), Some(identity("alice")));
            assert!(entries.is_empty());
        }
        let scope = house.gate.write(&service, target, Act::WriteMemories, &request).unwrap();
        assert_eq!(scope.origin().actor.kind(), "key", "both stand in the trail");
    }
}

#[test]
fn a_service_is_told_the_same_of_everybody_it_may_not_act_for() {
    let house = House::lived_in();
    let service = house.service("al*");
    let names = ["bob", "nobody-ever", "..", "", "a\0", "urn:locule:space:x"];
    let named = names.map(|name| house.refused(&service, Target::Named(name), &request()));
    let acted = names.map(|name| house.refused(&service, Target::Own, &acting_as(name)));
    let stranger = house.refused(&house.user("alice"), Target::Named("bob"), &request());
    assert!(named.iter().chain(&acted).all(|refusal| refusal == &stranger));
    assert_eq!(house.directory.found(), 0);
}

#[test]
fn a_service_that_names_nobody_or_two_is_asked_to_be_clear() {
    let house = House::lived_in();
    let service = house.service("*");
    for (target, request) in [(Target::Own, request()), (Target::Named("alice"), acting_as("bob"))] {
        for (answer, entries) in house.knock(&service, target, &request) {
            // Wrong requests are no denials: the trail is not the place to find them.
            assert_eq!((code(answer), entries.len()), (Err(Code::Invalid), 0));
        }
    }
}

#[test]
fn a_user_does_not_act_for_anybody_not_even_for_herself() {
    let house = House::lived_in();
    for principal in [house.user("alice"), house.reader("alice")] {
        for name in ["alice", "bob"] {
            for target in [Target::Own, Target::Named("alice"), Target::Named("bob")] {
                for (answer, _) in house.knock(&principal, target, &acting_as(name)) {
                    assert_eq!(code(answer), Err(Code::Invalid));
                }
            }
        }
    }
}

#[test]
fn a_service_of_one_issuer_does_not_reach_another_issuers_user() {
    let house = House::new(Provision::Auto);
    let elsewhere = Issuer::try_from("https://id.example").unwrap();
    house.directory.put(
        Identity { issuer: elsewhere.clone(), subject: Subject::try_from("alice").unwrap() },
        State::Open,
        None,
    );
    let of_the_default =
        house.gate.read(&house.service("*"), Target::Named("alice"), Act::ReadMemories, &request()).unwrap();
    assert_eq!(of_the_default.space(), None);
    let service = house.key(KeyKind::Service { issuer: elsewhere, act_as: ActAs::Anyone });
    let of_elsewhere = house.gate.read(&service, Target::Named("alice"), Act::ReadMemories, &request()).unwrap();
    assert!(of_elsewhere.space().is_some());
}

#[test]
fn a_reader_looks_and_changes_nothing() {
    let house = House::lived_in();
    let reader = house.reader("alice");
    assert!(house.gate.read(&reader, Target::Own, Act::ReadMemories, &request()).is_ok());
    assert!(house.gate.read(&reader, Target::Own, Act::ReadUsage, &request()).is_ok());
    assert_eq!(code(house.gate.write(&reader, Target::Own, Act::WriteMemories, &request())), Err(Code::NotAllowed));
    assert_eq!(code(house.gate.read(&reader, Target::Own, Act::Export, &request())), Err(Code::NotAllowed));
    assert_eq!(code(house.gate.erase(&reader, Target::Own, &request())), Err(Code::NotAllowed));
    assert_eq!(house.directory.take_entries().len(), 3);
    // Of somebody else it hears what everybody hears.
    let stranger = house.refused(&house.user("alice"), Target::Named("bob"), &request());
    assert_eq!(house.refused(&reader, Target::Named("bob"), &request()), stranger);
}

#[test]
fn an_operator_sees_nobodys_content() {
    let house = House::lived_in();
    let operators = [house.key(KeyKind::Operator), trusted::operator("upkeep").unwrap()];
    for operator in &operators {
        for target in [Target::Own, Target::Named("alice"), Target::Named("nobody-ever")] {
            for request in [request(), acting_as("alice"), also_naming(&["bob"])] {
                assert_eq!(house.refused(operator, target, &request).0, Code::NotAllowed);
            }
        }
        assert!(house.gate.operate(operator, &request()).is_ok());
    }
    assert_eq!(house.directory.found(), 0);
}

#[test]
fn only_an_operator_operates() {
    let house = House::lived_in();
    for principal in [
        house.user("alice"),
        house.reader("alice"),
        house.service("*"),
        trusted::user(identity("alice"), "app").unwrap(),
    ] {
        assert_eq!(code(house.gate.operate(&principal, &request())), Err(Code::NotAllowed));
        assert_eq!(house.directory.take_entries().len(), 1);
    }
}

#[test]
fn a_suspended_space_is_shut_to_all_and_may_be_erased() {
    let house = House::lived_in();
    house.directory.put(identity("alice"), State::Suspended, None);
    for principal in [house.user("alice"), house.service("*")] {
        let target = Target::Named("alice");
        assert_eq!(code(house.gate.read(&principal, target, Act::ReadMemories, &request())), Err(Code::SpaceSuspended));
        assert_eq!(
            code(house.gate.write(&principal, target, Act::WriteMemories, &request())),
            Err(Code::SpaceSuspended)
        );
        assert_eq!(house.directory.take_entries().len(), 2);
        assert!(house.gate.erase(&principal, target, &request()).is_ok());
    }
    // Bob learns nothing of it.
    let bob = house.user("bob");
    assert_eq!(
        house.refused(&bob, Target::Named("alice"), &request()),
        house.refused(&bob, Target::Named("x"), &request())
    );
}

#[test]
fn a_space_that_is_being_erased_is_busy_and_its_erasure_may_be_taken_up_again() {
    let house = House::lived_in();
    house.directory.put(identity("alice"), State::Erasing, None);
    let alice = house.user("alice");
    assert_eq!(code(house.gate.read(&alice, Target::Own, Act::ReadMemories, &request())), Err(Code::Busy));
    assert_eq!(code(house.gate.write(&alice, Target::Own, Act::WriteMemories, &request())), Err(Code::Busy));
    assert!(house.gate.erase(&alice, Target::Own, &request()).is_ok());
    assert!(house.directory.take_entries().is_empty(), "a matter of time is no denial");
}

#[test]
fn a_token_from_before_an_erasure_opens_nothing_after_it() {
    let house = House::lived_in();
    let before = house.user("alice");
    let key = house.key(KeyKind::User { identity: identity("alice"), read_only: false });
    let service = house.service("*");
    // Erased 59.5 seconds later: a token counts whole seconds, and one of that second may be from before.
    house.directory.erase(identity("alice"), "2026-11-24T12:00:59.5Z".parse().unwrap());
    house.clock.advance_s(59);
    let of_that_second = house.user("alice");
    house.clock.advance_s(1);
    let after = house.user("alice");

    for stale in [&before, &of_that_second] {
        assert_eq!(house.refused(stale, Target::Own, &request()).0, Code::Unauthenticated);
    }
    // The refusal is the one of any bad token, so that it does not tell of the erasure.
    let told = house.gate.read(&before, Target::Own, Act::ReadMemories, &request()).unwrap_err();
    let usual = house.authenticator.authenticate("x.y.z").unwrap_err();
    assert_eq!(format!("{told:?}"), format!("{usual:?}"));

    // A later token starts afresh, and so do keys, which an erasure removes itself where it should.
    for fresh in [&after, &key, &service] {
        let scope = house.gate.read(fresh, Target::Named("alice"), Act::ReadMemories, &request()).unwrap();
        assert_eq!(scope.space(), None);
    }
    assert!(house.gate.write(&after, Target::Own, Act::WriteMemories, &request()).unwrap().space().is_some());
    // Bob's own token of that time is as good as ever.
    assert!(house.gate.read(&house.user("bob"), Target::Own, Act::ReadMemories, &request()).is_ok());
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_is_older_than_any_erasure() {
    let house = House::lived_in();
    let token = crate::tokens::undated("alice", noon_and(3600));
    let undated = house.authenticator.authenticate(&token).unwrap();
    assert!(house.gate.read(&undated, Target::Own, Act::ReadMemories, &request()).is_ok());
    house.directory.erase(identity("alice"), noon());
    house.clock.advance_s(600);
    let undated = house.authenticator.authenticate(&token).unwrap();
    assert_eq!(house.refused(&undated, Target::Own, &request()).0, Code::Unauthenticated);
}

#[test]
fn a_first_write_makes_a_space_and_a_look_does_not() {
    let house = House::new(Provision::Auto);
    let alice = house.user("alice");
    for act in [Act::ReadMemories, Act::ReadUsage, Act::Export] {
        assert_eq!(house.gate.read(&alice, Target::Own, act, &request()).unwrap().space(), None);
    }
    assert!(house.gate.erase(&alice, Target::Own, &request()).is_ok());
    assert_eq!(house.directory.provisioned(), 0);

    let first = house.gate.write(&alice, Target::Own, Act::WriteMemories, &request()).unwrap();
    let second = house.gate.write(&alice, Target::Own, Act::WriteMemories, &request()).unwrap();
    assert!(first.space().is_some());
    assert_eq!(first.space(), second.space());
    assert_eq!(house.directory.provisioned(), 1);
    let look = house.gate.read(&alice, Target::Own, Act::ReadMemories, &request()).unwrap();
    assert_eq!(look.space(), first.space());
}

#[test]
fn a_refused_write_makes_no_space() {
    let house = House::new(Provision::Auto);
    let alice = house.user("alice");
    house.refused(&alice, Target::Named("bob"), &request());
    house.refused(&alice, Target::Own, &also_naming(&["bob"]));
    assert!(house.gate.write(&house.reader("alice"), Target::Own, Act::WriteMemories, &request()).is_err());
    assert_eq!(house.directory.provisioned(), 0);
}

#[test]
fn where_operators_create_users_a_first_write_is_refused() {
    let house = House::new(Provision::Manual);
    let alice = house.user("alice");
    assert_eq!(house.gate.read(&alice, Target::Own, Act::ReadMemories, &request()).unwrap().space(), None);
    assert_eq!(code(house.gate.write(&alice, Target::Own, Act::WriteMemories, &request())), Err(Code::NotAllowed));
    assert_eq!(house.directory.take_entries().len(), 1);
    assert_eq!(house.directory.provisioned(), 0);
    house.directory.put(identity("alice"), State::Open, None);
    assert!(house.gate.write(&alice, Target::Own, Act::WriteMemories, &request()).is_ok());
}

#[test]
fn what_operators_do_for_a_space_is_on_record_with_their_reason() {
    let house = House::lived_in();
    let operator = house.gate.operate(&trusted::operator("upkeep").unwrap(), &request()).unwrap();
    let scope = house.gate.system_read(&operator, identity("alice"), Act::Export, "backup").unwrap();
    assert_eq!((scope.origin().actor.kind(), scope.origin().actor.name()), ("system", "backup"));
    assert_eq!(scope.origin().on_behalf_of, Some(identity("alice")));
    assert!(
        house.gate.system_write(&operator, identity("carol"), Act::WriteMemories, "import").unwrap().space().is_some()
    );
    assert!(house.gate.system_erase(&operator, identity("alice"), "request by letter").is_ok());
    let entries: Vec<_> =
        house.directory.take_entries().into_iter().map(|entry| (entry.act, entry.target, entry.outcome)).collect();
    let entry = |act, name: &str| (act, Some(name.to_owned()), Outcome::Done);
    assert_eq!(entries, [entry("export", "alice"), entry("write_memories", "carol"), entry("erase", "alice")]);
}

#[test]
fn a_refusal_before_there_is_a_principal_is_on_record_too() {
    let house = House::new(Provision::Auto);
    let error = house.gate.refuse(Error::unauthenticated("No."), Some("alice"), "read_memories", &request());
    assert_eq!(error.code(), Code::Unauthenticated);
    let [entry] = &house.directory.take_entries()[..] else { panic!("not one entry") };
    assert_eq!(
        (entry.actor.kind(), entry.target.as_deref(), entry.outcome.as_str()),
        ("nobody", Some("alice"), "unauthenticated")
    );
}

#[test]
fn only_a_service_is_led_by_the_tag_of_an_object_and_only_to_those_it_acts_for() {
    let house = House::lived_in();
    let tag = house.directory.put(identity("alice"), State::Open, None).tag;
    let names = |principal: &Principal| {
        let led = house.gate.led_by(principal, tag).unwrap();
        led.into_iter().map(|subject| subject.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&house.service("*")), ["alice"]);
    assert_eq!(names(&house.service("al*")), ["alice"]);
    for nobody in [house.service("bob"), house.user("alice"), house.user("bob"), house.reader("alice")] {
        assert!(names(&nobody).is_empty());
    }
    let charges = |principal: &Principal| house.gate.charges(principal).unwrap().len();
    assert_eq!((charges(&house.service("*")), charges(&house.service("bob"))), (2, 1));
    assert_eq!((charges(&house.user("alice")), charges(&house.reader("alice"))), (0, 0));
}

#[test]
fn work_is_for_spaces_that_are_open_and_in_their_owners_name() {
    let house = House::new(Provision::Auto);
    let open = house.directory.put(identity("alice"), State::Open, None);
    let scope = house.gate.work(open.id, "job: test").unwrap().unwrap();
    assert_eq!(scope.space(), Some(&open));
    let origin = scope.origin();
    assert_eq!((origin.actor.kind(), origin.actor.name()), ("system", "job: test"));
    assert_eq!(origin.owner(), Some(&identity("alice")));
    assert!(house.gate.work_read(open.id, "job: test").unwrap().is_some());
    assert!(house.gate.work(crate::support::chamber(77).id, "job: test").unwrap().is_none());
    let closed = [
        (State::Suspended, Code::SpaceSuspended),
        (State::Erasing, Code::Busy),
        (State::Moving, Code::SpaceMoving),
        (State::Arriving, Code::SpaceMoving),
        (State::Moved, Code::SpaceMoved),
    ];
    for (number, (state, code)) in closed.into_iter().enumerate() {
        let chamber = house.directory.put(identity(&format!("user-{number}")), state, None);
        assert_eq!(
            house.gate.work(chamber.id, "job: test").map_err(|error| error.code()).err(),
            Some(code),
            "{state:?}"
        );
    }
    // Each piece of work is in the trail of its space, and in no other.
    assert!(house.directory.take_entries().is_empty());
}

#[test]
fn only_a_service_manages_its_project_and_each_refusal_is_on_record() {
    let house = House::lived_in();
    let request = Request { id: "req-1".to_owned(), ..Request::default() };
    let right = house.gate.manage(&house.service("*"), &request).unwrap();
    assert_eq!((right.issuer(), right.request_id()), (&Issuer::default(), "req-1"));
    assert!(house.directory.take_entries().is_empty());
    let some = [house.service("al*"), house.service("alice")];
    for principal in [house.user("alice"), house.reader("alice"), house.key(KeyKind::Operator)].into_iter().chain(some)
    {
        assert_eq!(house.gate.manage(&principal, &request).unwrap_err().code(), Code::NotAllowed);
        let entries = house.directory.take_entries();
        assert_eq!(entries.iter().map(|entry| entry.act).collect::<Vec<_>>(), ["manage"]);
    }
}
