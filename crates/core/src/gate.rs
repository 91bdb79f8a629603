//! The gate: from a verified principal and the space it names to the right to act there, or a refusal on record.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::audit::{Actor, Origin, Outcome, SystemEntry};
use crate::auth::{ActAs, IssuedAt, KeyId, KeyRecord, Principal, Who, refused};
use crate::clock::Sources;
use crate::directory::{Directory, Known, Standing, State};
use crate::id::{Identity, SpaceId, Subject, Tag};
use crate::policy::{Act, allows};
use crate::scope::{Chamber, Erasure, Management, Move, Operator, Read, Right, Scope, Write};
use crate::{Code, Error, Result};

/// Which space a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The caller's own.
    Own,
    /// That of the user of this name, as it stands in the request, unchecked.
    Named(&'a str),
}

/// The request, as far as the gate and the audit trail need it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What finds it in the log.
    pub id: String,
    /// A second name for whom a service acts, from a header. It must agree with the target.
    pub act_as: Option<String>,
    /// Every user the request names elsewhere (query, body, filter). All must be the target.
    pub also_named: Vec<String>,
}

/// Whether a verified user gets a space at the first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Provision {
    /// They do.
    #[default]
    Auto,
    /// Only operators create users.
    Manual,
}

/// Makes scopes. There is one per installation.
pub struct Gate {
    directory: Arc<dyn Directory>,
    provision: Provision,
    sources: Sources,
}

impl Gate {
    /// A gate in front of what `directory` knows.
    pub fn new(directory: Arc<dyn Directory>, provision: Provision, sources: Sources) -> Self {
        Gate { directory, provision, sources }
    }

    /// Whether this could be allowed at all, without looking anything up or writing anything down: to refuse a request
    /// before its body is read. What is not permitted is then refused, on record, by asking for the scope.
    pub fn permits(&self, principal: &Principal, target: Target, act: Act, request: &Request) -> bool {
        authorize(principal, target, act, request).is_ok()
    }

    /// The right to look into a space.
    pub fn read(&self, principal: &Principal, target: Target, act: Act, request: &Request) -> Result<Scope<Read>> {
        self.on_record(principal, target, act, request, || {
            let identity = authorize(principal, target, act, request)?;
            let standing = self.standing::<Read>(principal, &identity)?;
            Ok(scope(principal, identity, standing.space, act, request))
        })
    }

    /// The right to change a space. A verified user who has none gets one, unless only operators create users.
    pub fn write(&self, principal: &Principal, target: Target, act: Act, request: &Request) -> Result<Scope<Write>> {
        self.on_record(principal, target, act, request, || {
            let identity = authorize(principal, target, act, request)?;
            let space = match (self.standing::<Write>(principal, &identity)?.space, self.provision) {
                (Some(space), _) => space,
                (None, Provision::Auto) => self.directory.provision(&identity)?,
                (None, Provision::Manual) => {
                    return Err(Error::new(Code::NotAllowed, "This user has no space yet. An operator creates it."));
                }
            };
            Ok(scope(principal, identity, Some(space), act, request))
        })
    }

    /// The right to destroy a space. It is given too when there is none: the erasure then finds nothing to do.
    pub fn erase(&self, principal: &Principal, target: Target, request: &Request) -> Result<Erasure> {
        self.on_record(principal, target, Act::Erase, request, || {
            let identity = authorize(principal, target, Act::Erase, request)?;
            // A suspended space may be erased, and so may one whose erasure was cut short.
            let standing = self.directory.find(&identity)?;
            check_age(principal, &standing)?;
            refuse_moving(standing.state)?;
            let origin = origin(principal, &identity, Act::Erase, request);
            Ok(Erasure { identity, origin })
        })
    }

    /// For whom a service asks that names an object and nobody: those it acts for whose objects have this tag. It opens
    /// nothing; whoever asks asks again for the right. Nobody for anybody else.
    pub fn led_by(&self, principal: &Principal, tag: Tag) -> Result<Vec<Subject>> {
        let Who::Service { issuer, act_as } = &principal.who else { return Ok(Vec::new()) };
        let tagged = self.directory.tagged(tag)?;
        let theirs = tagged.into_iter().filter(|owner| owner.issuer == *issuer && act_as.covers(&owner.subject));
        Ok(theirs.map(|owner| owner.subject).collect())
    }

    /// Everybody a service acts for who has a space, with what that published last. Nobody for anybody else.
    pub fn charges(&self, principal: &Principal) -> Result<Vec<Known>> {
        let Who::Service { issuer, act_as } = &principal.who else { return Ok(Vec::new()) };
        self.directory.known(issuer, &|subject| act_as.covers(subject))
    }

    /// The right to see and change the settings and webhooks of the application that a service belongs to. A user's own
    /// settings are in their space. A service that acts for some users alone has it not: a webhook hears of all of them.
    pub fn manage(&self, principal: &Principal, request: &Request) -> Result<Management> {
        self.on_record(principal, Target::Own, Act::Manage, request, || {
            let issuer = match &principal.who {
                Who::Service { issuer, act_as: ActAs::Anyone } => issuer,
                Who::Service { .. } => {
                    return Err(Error::new(
                        Code::NotAllowed,
                        "This service key acts for some users alone. Only one that acts for all of them (`--act-as '*'`) \
                         sees and changes their project.",
                    ));
                }
                _ => {
                    return Err(Error::new(
                        Code::NotAllowed,
                        "Only a service key sees and changes a project. Your own settings are at /api/me/settings.",
                    ));
                }
            };
            if !allows(principal.role(), Act::Manage) {
                return Err(not_allowed());
            }
            Ok(Management { issuer: issuer.clone(), actor: principal.actor.clone(), request_id: request.id.clone() })
        })
    }

    /// The right to do in one space the work that it asked for and that is done behind the answer. Only for a space that is
    /// marked as one with such work, and open; whoever asked was let in then. `None` where there is no such space any more.
    ///
    /// The space's own trail tells what is done, by `actor`, for whom; the installation's says nothing of each piece of work.
    pub fn work(&self, space: SpaceId, actor: &'static str) -> Result<Option<Scope<Write>>> {
        let Some((identity, standing)) = self.directory.marked(space)? else { return Ok(None) };
        refuse_closed::<Write>(&standing)?;
        let origin = Origin {
            actor: Actor::System(actor.to_owned()),
            on_behalf_of: Some(identity),
            act: Act::WriteMemories,
            request_id: String::new(),
        };
        Ok(Some(Scope { space: standing.space, origin, right: PhantomData }))
    }

    /// The same right, as far as looking goes.
    pub fn work_read(&self, space: SpaceId, actor: &'static str) -> Result<Option<Scope<Read>>> {
        let scope = self.work(space, actor)?;
        Ok(scope.map(|Scope { space, origin, .. }| Scope { space, origin, right: PhantomData }))
    }

    /// A principal's own keys, without their secrets: those that are this user, or the one that is this service.
    pub fn keys(&self, principal: &Principal) -> Result<Vec<KeyRecord>> {
        match (&principal.who, &principal.actor) {
            (Who::User { identity, .. }, _) => self.directory.keys_of(identity),
            (Who::Service { .. } | Who::Operator, Actor::Key(id)) => {
                Ok(self.directory.key(&KeyId::try_from(&**id)?)?.into_iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The right to run the installation.
    pub fn operate(&self, principal: &Principal, request: &Request) -> Result<Operator> {
        self.on_record(principal, Target::Own, Act::Operate, request, || {
            if !allows(principal.role(), Act::Operate) {
                return Err(not_allowed());
            }
            Ok(Operator { actor: principal.actor.clone(), request_id: request.id.clone() })
        })
    }

    /// The right to look into one space for work that no user asked for: an export, a check.
    pub fn system_read(&self, operator: &Operator, identity: Identity, act: Act, reason: &str) -> Result<Scope<Read>> {
        let standing = self.directory.find(&identity)?;
        if standing.state == State::Moved {
            return Err(Error::moved());
        }
        let origin = self.system_origin(operator, identity, act, reason)?;
        Ok(Scope { space: standing.space, origin, right: PhantomData })
    }

    /// The right to change one space for work that no user asked for: an import, a sweep.
    pub fn system_write(
        &self,
        operator: &Operator,
        identity: Identity,
        act: Act,
        reason: &str,
    ) -> Result<Scope<Write>> {
        let space = Some(self.directory.provision(&identity)?);
        let origin = self.system_origin(operator, identity, act, reason)?;
        Ok(Scope { space, origin, right: PhantomData })
    }

    /// The right to destroy one space on an operator's word.
    pub fn system_erase(&self, operator: &Operator, identity: Identity, reason: &str) -> Result<Erasure> {
        refuse_moving(self.directory.find(&identity)?.state)?;
        let origin = self.system_origin(operator, identity.clone(), Act::Erase, reason)?;
        Ok(Erasure { identity, origin })
    }

    /// The right to carry one space, whole, on an operator's word: to another place, into a backup, or back out of one. It is
    /// given also for one that is on its way.
    pub fn system_move(&self, operator: &Operator, identity: Identity, act: Act, reason: &str) -> Result<Move> {
        let origin = self.system_origin(operator, identity.clone(), act, reason)?;
        Ok(Move { identity, origin })
    }

    /// Puts a refusal on record that happened before there was a principal, and hands the error back.
    pub fn refuse(&self, error: Error, target: Option<&str>, act: &'static str, request: &Request) -> Error {
        self.record(Actor::Nobody, target, act, &error, request);
        error
    }

    fn system_origin(&self, operator: &Operator, identity: Identity, act: Act, reason: &str) -> Result<Origin> {
        self.directory.record(SystemEntry {
            time: self.sources.now(),
            actor: operator.actor.clone(),
            target: Some(identity.subject.as_str().to_owned()),
            act: act.as_str(),
            outcome: Outcome::Done,
            request_id: operator.request_id.clone(),
        })?;
        Ok(Origin {
            actor: Actor::System(reason.to_owned()),
            on_behalf_of: Some(identity),
            act,
            request_id: operator.request_id.clone(),
        })
    }

    /// How the target stands, if it is open to this credential.
    fn standing<R: Right>(&self, principal: &Principal, identity: &Identity) -> Result<Standing> {
        let standing = self.directory.find(identity)?;
        check_age(principal, &standing)?;
        refuse_closed::<R>(&standing)?;
        Ok(standing)
    }

    /// Runs a decision and leaves an audit entry if it is a refusal. A fault of the directory is no refusal.
    fn on_record<T>(
        &self,
        principal: &Principal,
        target: Target,
        act: Act,
        request: &Request,
        decide: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        decide().inspect_err(|error| {
            if is_refusal(error.code()) {
                let named = match target {
                    Target::Named(name) => Some(name),
                    Target::Own => None,
                };
                self.record(principal.actor.clone(), named, act.as_str(), error, request);
            }
        })
    }

    fn record(&self, actor: Actor, target: Option<&str>, act: &'static str, error: &Error, request: &Request) {
        let entry = SystemEntry {
            time: self.sources.now(),
            actor,
            target: target.map(str::to_owned),
            act,
            outcome: Outcome::Denied(error.code()),
            request_id: request.id.clone(),
        };
        // The refusal stands even if it cannot be written down: the directory logs that itself.
        let _ = self.directory.record(entry);
    }
}

fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Unauthenticated | Code::SpaceErased | Code::NotYourSpace | Code::NotAllowed | Code::SpaceSuspended
    )
}

/// Whose space the request is about, if this principal may do that there. Looks nothing up: the answer to a request
/// about somebody else cannot depend on whether they exist.
fn authorize(principal: &Principal, target: Target, act: Act, request: &Request) -> Result<Identity> {
    if matches!(principal.who, Who::Operator) {
        return Err(not_allowed());
    }
    let identity = whose(principal, target, request)?;
    let subject = identity.subject.as_str();
    if request.also_named.iter().any(|named| named != subject) {
        return Err(Error::not_your_space());
    }
    if !allows(principal.role(), act) {
        return Err(not_allowed());
    }
    Ok(identity)
}

fn whose(principal: &Principal, target: Target, request: &Request) -> Result<Identity> {
    match (&principal.who, target, request.act_as.as_deref()) {
        (Who::User { .. }, _, Some(_)) => {
            Err(Error::invalid("Only a service key acts for somebody else: leave out the act-as header."))
        }
        (Who::User { identity, .. }, Target::Own, None) => Ok(identity.clone()),
        (Who::User { identity, .. }, Target::Named(name), None) if name == identity.subject.as_str() => {
            Ok(identity.clone())
        }
        (Who::User { .. }, Target::Named(_), None) => Err(Error::not_your_space()),
        (Who::Service { .. }, Target::Own, None) => Err(Error::invalid(
            "A service key is no user: name the user it acts for, in the path or in the act-as header.",
        )),
        (Who::Service { .. }, Target::Named(name), Some(act_as)) if name != act_as => {
            Err(Error::invalid("The path and the act-as header name two different users."))
        }
        (Who::Service { issuer, act_as: covered }, Target::Named(name), _)
        | (Who::Service { issuer, act_as: covered }, Target::Own, Some(name)) => {
            // A name that nobody can have answers like one that this key does not cover.
            let subject = Subject::try_from(name).map_err(|_| Error::not_your_space())?;
            if !covered.covers(&subject) {
                return Err(Error::not_your_space());
            }
            Ok(Identity { issuer: issuer.clone(), subject })
        }
        (Who::Operator, ..) => Err(not_allowed()),
    }
}

/// Passes if the space is open for a right of this kind.
fn refuse_closed<R: Right>(standing: &Standing) -> Result<()> {
    match standing.state {
        State::Open => Ok(()),
        State::Suspended => {
            Err(Error::new(Code::SpaceSuspended, "An operator has suspended this space. Its data is kept."))
        }
        State::Erasing => Err(Error::new(Code::Busy, "This space is just being erased. Try again in a moment.")),
        State::Moving if !R::CHANGES => Ok(()),
        State::Moving | State::Arriving => Err(Error::moving()),
        State::Moved => Err(Error::moved()),
    }
}

/// What is on its way is not erased here: what has arrived of it would outlive that.
fn refuse_moving(state: State) -> Result<()> {
    match state {
        State::Moving | State::Arriving => Err(Error::moving()),
        State::Moved => Err(Error::moved()),
        State::Open | State::Suspended | State::Erasing => Ok(()),
    }
}

/// A token from before an erasure does not open the space that comes after it.
fn check_age(principal: &Principal, standing: &Standing) -> Result<()> {
    let Some(erased) = standing.not_before else { return Ok(()) };
    let stale = match principal.issued_at {
        // Tokens count whole seconds: one issued in the second of the erasure may be from before it.
        IssuedAt::At(issued) => issued.as_second() <= erased.as_second(),
        IssuedAt::Unknown => true,
        IssuedAt::Live => false,
    };
    if stale { Err(refused()) } else { Ok(()) }
}

fn scope<R: Right>(
    principal: &Principal,
    identity: Identity,
    space: Option<Chamber>,
    act: Act,
    request: &Request,
) -> Scope<R> {
    Scope { space, origin: origin(principal, &identity, act, request), right: PhantomData }
}

fn origin(principal: &Principal, identity: &Identity, act: Act, request: &Request) -> Origin {
    let own = matches!(&principal.actor, Actor::User(actor) if actor == identity);
    Origin {
        actor: principal.actor.clone(),
        on_behalf_of: (!own).then(|| identity.clone()),
        act,
        request_id: request.id.clone(),
    }
}

fn not_allowed() -> Error {
    Error::new(Code::NotAllowed, "This credential may not do that.")
}
