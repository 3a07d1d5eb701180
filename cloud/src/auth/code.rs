//! One-time codes: six digits, ten minutes, five attempts, one use. Only a keyed digest is kept, so that who reads the
//! database (and not the configured keys) cannot try all the million.

use std::net::IpAddr;
use std::time::Instant;

use sqlx::{PgConnection, Postgres, Transaction};

use super::sign_in::of_user;
use super::{Auth, Contact, Refusal, Role, Tokens, limits, password};
use crate::courier::Message;
use crate::db::user::{self, Account, NewUser};
use crate::db::{audit, login_code};

const DIGITS: usize = 6;
const POSSIBLE: u32 = 1_000_000;

impl Auth {
    /// Sends a code.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn send_code(&self, to: &Contact, from: IpAddr) -> Result<(), Refusal> {
        self.courier.carries(to)?;
        limits::CODES_SENT.admit(&self.db, to.as_str(), from).await?;
        if matches!(to, Contact::Phone(_)) {
            limits::admit_text_message(&self.db, self.texts_per_hour).await?;
        }
        let code = random_code();
        let digest = self.keys.code_digest(to.as_str(), &code);
        login_code::put(&self.db, to.as_str(), &digest).await?;
        if let Err(undelivered) = self.courier.send(to, message(&code)).await {
            login_code::spend(&mut *self.db.acquire().await?, to.as_str(), &digest).await?;
            limits::CODES_SENT.take_back(&self.db, to.as_str(), from).await?;
            return Err(undelivered.into());
        }
        Ok(())
    }

    /// Signs in whom the code was sent to; somebody new gets an account.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn login_with_code(
        &self,
        contact: &Contact,
        code: &str,
        from: IpAddr,
    ) -> Result<Tokens, Refusal> {
        let (mut tx, account) = self.prove_account(contact, code, from).await?;
        let tokens = self.sign_in(&mut tx, account).await?;
        tx.commit().await?;
        Ok(tokens)
    }

    /// Counts an invitation, which may make an account.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn admit_invitation(&self, user: i64, from: IpAddr) -> Result<(), Refusal> {
        limits::INVITATIONS.admit(&self.db, &user.to_string(), from).await
    }

    /// Enters into somebody's record the address or number that the code was sent to: from then on he signs in with it.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn confirm_contact(
        &self,
        user: i64,
        contact: &Contact,
        code: &str,
        from: IpAddr,
    ) -> Result<(), Refusal> {
        let mut tx = self.prove(contact, code, from).await?;
        if user::by_contact(&mut tx, contact).await?.is_some_and(|other| other.id != user) {
            return Err(Refusal::Taken);
        }
        user::take_contact_away(&mut tx, contact).await?;
        user::set_contact(&mut tx, user, contact).await?;
        let entry = audit::Entry {
            after: Some(serde_json::json!({ "contact": contact.as_str() })),
            ..of_user(user, Some(user), "confirm contact")
        };
        audit::write(&mut tx, &entry).await?;
        Ok(tx.commit().await?)
    }

    /// Sets the password of whom the code was sent to, ends all that he was signed in with, and signs him in.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn reset_password(
        &self,
        contact: &Contact,
        code: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Tokens, Refusal> {
        let (mut tx, account) = self.prove_account(contact, code, from).await?;
        let hash = password::hash(password).await?;
        let tokens = self.replace_password(&mut tx, account, &hash).await?;
        tx.commit().await?;
        Ok(tokens)
    }

    /// The account of whom the code was sent to.
    async fn prove_account(
        &self,
        contact: &Contact,
        code: &str,
        from: IpAddr,
    ) -> Result<(Transaction<'static, Postgres>, Account), Refusal> {
        let mut tx = self.prove(contact, code, from).await?;
        let account = find_or_create(&mut tx, contact, None).await?;
        if !account.is_active {
            tx.commit().await?;
            return Err(Refusal::Deactivated);
        }
        Ok((tx, account))
    }

    /// Is it the code that was sent there? It is spent when the transaction commits.
    async fn prove(
        &self,
        contact: &Contact,
        code: &str,
        from: IpAddr,
    ) -> Result<Transaction<'static, Postgres>, Refusal> {
        let code = code.trim();
        if code.len() != DIGITS || !code.bytes().all(|it| it.is_ascii_digit()) {
            return Err(Refusal::WrongCode);
        }
        self.throttle.admit(contact.as_str(), from, Instant::now()).map_err(Refusal::Wait)?;
        limits::CODES_TRIED.admit(&self.db, contact.as_str(), from).await?;
        let stored = login_code::attempt(&self.db, contact.as_str()).await?;
        let stored = stored.filter(|it| self.keys.is_code_digest(contact.as_str(), code, it));
        let stored = stored.ok_or(Refusal::WrongCode)?;
        self.throttle.forgive(contact.as_str(), from);
        limits::CODES_TRIED.forgive(&self.db, contact.as_str(), from).await?;
        limits::CODES_SENT.forgive(&self.db, contact.as_str(), from).await?;

        let mut tx = self.db.begin().await?;
        if !login_code::spend(&mut tx, contact.as_str(), &stored).await? {
            return Err(Refusal::WrongCode);
        }
        Ok(tx)
    }
}

/// Whose address or number it is. A record of somebody who only claims it loses it to the one who showed that it is his.
/// `by` is who makes an account for somebody else; he does himself otherwise.
pub(crate) async fn find_or_create(
    tx: &mut PgConnection,
    contact: &Contact,
    by: Option<i64>,
) -> Result<Account, Refusal> {
    if let Some(account) = user::by_contact(&mut *tx, contact).await? {
        return Ok(account);
    }
    if let Some(claimant) = user::take_contact_away(&mut *tx, contact).await? {
        tracing::warn!(user = claimant, "an address or number that was not his is taken out of his record");
    }
    let (role, phone, email) = match contact {
        Contact::Phone(number) => (Role::Driver, Some(number.as_str()), None),
        Contact::Email(address) => (Role::BusinessOwner, None, Some(address.as_str())),
    };
    // Apps know the name of somebody new as an empty one.
    let new = NewUser { name: Some(""), phone, email, role: role.name(), ..NewUser::default() };
    let id = user::insert(&mut *tx, &new).await?;
    let entry = audit::Entry {
        actor: by.or(Some(id)),
        action: "create",
        entity: "User",
        row_id: Some(id.to_string()),
        after: Some(serde_json::json!({"id": id, "phone": phone, "email": email, "role": role.name()})),
        ..audit::Entry::default()
    };
    audit::write(&mut *tx, &entry).await?;
    Ok(user::account(&mut *tx, id).await?.ok_or_else(|| anyhow::anyhow!("a user that was just made"))?)
}

fn message(code: &str) -> Message {
    Message {
        subject: "Your sign-in code".into(),
        text: format!(
            "{code} is your code to sign in. It is good for 10 minutes.\n\
             If you did not ask for it, ignore this message: without the code nobody gets in.\n"
        ),
    }
}

/// Each of the million equally likely.
fn random_code() -> String {
    const FAIR: u32 = u32::MAX - u32::MAX % POSSIBLE;
    loop {
        let random = getrandom::u32().expect("the operating system gives randomness");
        if random < FAIR {
            return format!("{:0DIGITS$}", random % POSSIBLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_six_digits_and_every_digit_is_as_likely() {
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            let code = random_code();
            assert_eq!(code.len(), DIGITS);
            code.bytes().for_each(|digit| counts[usize::from(digit - b'0')] += 1);
        }
        // 6,000 each, give or take eight standard deviations.
        assert!(counts.iter().all(|count| (5_400..6_600).contains(count)), "{counts:?}");
    }
}
