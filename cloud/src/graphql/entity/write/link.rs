//! Relations added and set: rows are linked by a column of one of the two sides, so linking is updating.

use super::cells::{Cell, Cells};
use super::rows::{self, Which};
use super::{MAX_MANY, Writing};
use crate::auth::Reach;
use crate::graphql::entity::table::{Entity, Relation};
use crate::graphql::error::{Fault, Result};

impl Writing<'_> {
    /// Adds rows to a row's list; with `whole`, they become the list.
    pub(super) async fn link(
        &mut self,
        entity: &'static Entity,
        relation: &'static Relation,
        reach: &Reach,
        id: i64,
        others: &[i64],
        whole: bool,
    ) -> Result<()> {
        if relation.points() {
            return self.point(entity, relation, reach, id, others, whole).await;
        }
        if rows::locked(&mut self.tx, entity, reach, Which::These(&[id]), 1).await?.is_empty() {
            return Err(Fault::no_such(entity.name, id));
        }
        let target = relation.target;
        let theirs = self.viewer.reach(target.change);
        let link = by_column(target, relation.theirs, Cell::Whole(id))?;
        for other in others {
            self.update_one(target, &theirs, *other, link.clone()).await?;
        }
        if !whole {
            return Ok(());
        }
        let linked = Which::Linked(relation.theirs, id);
        let linked = rows::locked(&mut self.tx, target, &theirs, linked, MAX_MANY + 1).await?;
        let left: Vec<i64> = linked.into_iter().map(|(id, _)| id).filter(|id| !others.contains(id)).collect();
        if relation.needed && !left.is_empty() {
            return Err(Fault::BadInput(format!(
                "A {} needs a {}: add {left:?} elsewhere first, or delete them.",
                target.one, entity.one
            )));
        }
        let none = by_column(target, relation.theirs, Cell::Null)?;
        self.update_many(target, &theirs, Which::These(&left), &none).await.map(drop)
    }

    /// The row itself points at the other, of which there is one at most.
    async fn point(
        &mut self,
        entity: &'static Entity,
        relation: &'static Relation,
        reach: &Reach,
        id: i64,
        others: &[i64],
        whole: bool,
    ) -> Result<()> {
        let to = match others {
            [] if whole && relation.needed => {
                return Err(Fault::BadInput(format!("A {} needs a {}.", entity.one, relation.target.one)));
            }
            [] if whole => Cells(by_column(entity, relation.own, Cell::Null)?.0),
            [] => Cells(Vec::new()),
            [other] => by_column(entity, relation.own, Cell::Whole(*other))?,
            _ => {
                return Err(Fault::BadInput(format!(
                    "A {} has one {} only.",
                    entity.one, relation.target.one
                )));
            }
        };
        self.update_one(entity, reach, id, to).await
    }
}

fn by_column(entity: &'static Entity, column: &str, cell: Cell) -> Result<Cells> {
    let field = entity.fields.iter().find(|field| field.column == column);
    let field = field.ok_or_else(|| anyhow::anyhow!("{} has no field of {column}", entity.name))?;
    Ok(Cells(vec![(field, cell)]))
}
