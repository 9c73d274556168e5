//! `/team/member_add`, `member_update` and `member_delete`: users in teams, who have budgets of their own there.

use http::Method;
use serde_json::{Map, Value, json};

use super::fields::{Fields, invalid};
use super::scopes::{self, TEAM};
use super::{Ours, amounts, escaped};
use crate::port::Body;
use crate::refusal::Refusal;

pub(super) const ACTIONS: [&str; 3] = ["member_add", "member_update", "member_delete"];

pub(super) async fn answer(ours: &Ours<'_>, action: &str, body: Body) -> Result<Value, Refusal> {
    let mut fields = ours.fields(body).await?;
    let team = fields.text("team_id")?.ok_or_else(|| invalid("team_id", "expected an id"))?;
    match action {
        "member_add" => add(ours, &team, fields).await,
        "member_update" => update(ours, &team, fields).await,
        _ => {
            let user = who(&mut fields)?;
            fields.end()?;
            ours.ask(Method::DELETE, &[&path(&team, &user), "?cascade=true"].concat(), None).await?;
            info(ours, &team).await
        }
    }
}

/// The members of a team, as `/team/info` tells of them: roles, and what each may spend there.
pub(super) async fn of(ours: &Ours<'_>, team: &str) -> Result<(Value, Value), Refusal> {
    let found = ours.ask(Method::GET, &["members?limit=1000&team=", &escaped(team)].concat(), None).await?;
    let members = found["members"].as_array().into_iter().flatten();
    let members = members.filter(|member| member["state"] != "deleted").map(|member| {
        let user = member["id"].as_str().and_then(|id| id.split_once('/')).map(|(_, user)| user);
        let role = member["metadata"]["role"].as_str().unwrap_or("user");
        let email = &member["metadata"]["user_email"];
        (json!({ "role": role, "user_id": user, "user_email": email }), membership(team, user, member))
    });
    let (roles, memberships): (Vec<Value>, Vec<Value>) = members.unzip();
    Ok((Value::Array(roles), Value::Array(memberships)))
}

/// One or several, who become users when they are none.
async fn add(ours: &Ours<'_>, team: &str, mut fields: Fields) -> Result<Value, Refusal> {
    let asked = match fields.take("member") {
        Some(Value::Array(members)) => members,
        Some(member @ Value::Object(_)) => vec![member],
        _ => return Err(invalid("member", "expected a member or a list of members")),
    };
    let limits = limits(&mut fields, None)?;
    fields.end()?;
    let standing = ours.ask(Method::GET, &["teams/", &escaped(team)].concat(), None).await?;
    let org = standing["org"].as_str();
    // All are judged before the first is made.
    let mut members = Vec::with_capacity(asked.len());
    for member in asked {
        let Value::Object(member) = member else {
            return Err(invalid("member", "expected an object"));
        };
        let mut member = Fields::of(member);
        let role = role(&mut member)?;
        let email = member.text("user_email")?;
        let user = member.text("user_id")?.or_else(|| email.clone());
        member.end()?;
        members.push((user.ok_or_else(|| invalid("member.user_id", "expected an id"))?, role, email));
    }
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for (user, role, email) in members {
        let mut wish = Map::from_iter([("id".to_owned(), json!(format!("{team}/{user}")))]);
        if let Some(org) = org {
            wish.insert("org".to_owned(), json!(org));
        }
        if !limits.is_empty() {
            wish.insert("limits".to_owned(), Value::Object(limits.clone()));
        }
        let role = role.unwrap_or_else(|| "user".to_owned());
        wish.insert("metadata".to_owned(), json!({ "role": role, "user_email": email }));
        if !is_there(ours, &user).await? {
            let made = json!({ "id": user, "org": org, "metadata": { "user_email": email } });
            ours.ask(Method::POST, "users", Some(made)).await?;
        }
        let made = ours.ask(Method::POST, "members", Some(Value::Object(wish))).await?;
        memberships.push(membership(team, Some(&user), &made));
        users.push(json!({ "user_id": user, "user_email": email, "teams": [team] }));
    }
    let mut answer = info(ours, team).await?;
    answer["updated_users"] = Value::Array(users);
    answer["updated_team_memberships"] = Value::Array(memberships);
    Ok(answer)
}

async fn update(ours: &Ours<'_>, team: &str, mut fields: Fields) -> Result<Value, Refusal> {
    let user = who(&mut fields)?;
    let place = path(team, &user);
    let standing = ours.ask(Method::GET, &place, None).await?;
    let mut patch = Map::new();
    let limits = limits(&mut fields, Some(&standing["limits"]))?;
    if !limits.is_empty() {
        patch.insert("limits".to_owned(), Value::Object(limits));
    }
    if let Some(role) = role(&mut fields)? {
        patch.insert("metadata".to_owned(), json!({ "role": role }));
    }
    fields.end()?;
    let changed = ours.ask(Method::PATCH, &place, Some(Value::Object(patch))).await?;
    let mut answer = amounts::shown(&changed);
    answer.insert("team_id".to_owned(), json!(team));
    answer.insert("user_id".to_owned(), json!(user));
    answer.insert("max_budget_in_team".to_owned(), answer.get("max_budget").cloned().unwrap_or_default());
    Ok(Value::Object(answer))
}

async fn info(ours: &Ours<'_>, team: &str) -> Result<Value, Refusal> {
    let found = ours.ask(Method::GET, &["teams/", &escaped(team)].concat(), None).await?;
    let mut shown = scopes::shown(&TEAM, &found);
    shown["members_with_roles"] = of(ours, team).await?.0;
    Ok(shown)
}

fn membership(team: &str, user: Option<&str>, member: &Value) -> Value {
    let budget = amounts::shown(member);
    let spend = budget.get("spend").cloned().unwrap_or_default();
    json!({ "team_id": team, "user_id": user, "spend": spend, "litellm_budget_table": budget })
}

/// Their word for a member's budget, and those that all limits have.
fn limits(fields: &mut Fields, standing: Option<&Value>) -> Result<Map<String, Value>, Refusal> {
    fields.rename("max_budget_in_team", "max_budget");
    let mut limits = amounts::limits(fields, standing)?;
    if standing.is_none() {
        limits.retain(|_, value| !value.is_null());
    }
    Ok(limits)
}

fn role(fields: &mut Fields) -> Result<Option<String>, Refusal> {
    let role = fields.text("role")?;
    match role.as_deref() {
        None | Some("user" | "admin") => Ok(role),
        Some(_) => Err(invalid("role", "expected user or admin")),
    }
}

/// A user, by id or by an address that is one.
fn who(fields: &mut Fields) -> Result<String, Refusal> {
    let (user, email) = (fields.text("user_id")?, fields.text("user_email")?);
    user.or(email).ok_or_else(|| invalid("user_id", "expected an id"))
}

async fn is_there(ours: &Ours<'_>, user: &str) -> Result<bool, Refusal> {
    match ours.ask(Method::GET, &["users/", &escaped(user)].concat(), None).await {
        Ok(user) => Ok(user["state"] != "deleted"),
        Err(Refusal::NotFound { .. }) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

fn path(team: &str, user: &str) -> String {
    ["members/", &escaped(team), "/", &escaped(user)].concat()
}
