//! The API over a database of its own, and people in it.

use cloud::{App, auth, db};
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;

use super::{Person, api};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const LOGIN: &str = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }";

pub(crate) struct World {
    _dir: TempDir,
    _postgres: stack::postgres::Postgres,
    pub(crate) app: App,
    pub(crate) anybody: Person,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
        let url = postgres.create_database().await.unwrap();
        let (router, app) = api(&url).await;
        sqlx::migrate!().run(&app.db).await.unwrap();
        Self { _dir: dir, _postgres: postgres, app, anybody: Person { router, token: None } }
    }

    pub(crate) fn db(&self) -> &PgPool {
        &self.app.db
    }

    /// Somebody of a role, signed in.
    pub(crate) async fn person(&self, name: &str, role: &str) -> (i64, Person) {
        let hash = auth::hash_password(PASSWORD).await.unwrap();
        let new = db::user::NewUser {
            username: Some(name),
            role,
            password_hash: Some(&hash),
            ..Default::default()
        };
        let id = db::user::insert(&mut self.db().acquire().await.unwrap(), &new).await.unwrap();
        let input = json!({"input": {"username": name, "password": PASSWORD}});
        let token = self.anybody.get(LOGIN, input).await["login"]["accessToken"].as_str().unwrap().to_owned();
        (id, Person { token: Some(token), ..self.anybody.clone() })
    }

    pub(crate) async fn rows(&self, table: &'static str) -> String {
        let sql = format!("select coalesce(json_agg(t order by t.id), '[]')::text from {table} t");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(self.db()).await.unwrap()
    }
}
