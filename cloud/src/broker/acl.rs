//! Who may say and hear what.

use shared::id::{GatewayId, Shard};
use shared::sync::Topic;
use shared::sync::topic::Way;

/// Who logged in at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// A site's box: its own topics, nothing else.
    Gateway(GatewayId, Shard),
    /// Another replica of the cloud.
    Replica,
}

impl Client {
    /// May it publish there?
    pub(super) fn may_publish(self, topic: &str) -> bool {
        let Ok(topic) = topic.parse::<Topic>() else { return false };
        match (self, topic.way) {
            (Client::Gateway(id, shard), Way::Up(_)) => topic.gateway == id && topic.shard == shard,
            (Client::Replica, Way::Down(_)) => true,
            (Client::Gateway(..), Way::Down(_)) | (Client::Replica, Way::Up(_)) => false,
        }
    }

    /// May it subscribe to that?
    pub(super) fn may_subscribe(self, filter: &str) -> bool {
        match self {
            Client::Gateway(id, shard) => {
                let all = Topic::down_filter(shard, id);
                let own = all.strip_suffix('+').expect("the filter ends with the wildcard");
                match filter.strip_prefix(own) {
                    Some("+" | "#") => true,
                    Some(_) => filter.parse::<Topic>().is_ok(),
                    None => false,
                }
            }
            Client::Replica => {
                (0..shared::sync::SHARDS).any(|shard| filter == Topic::up_filter(Shard(shard)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "018f4e1c-0000-7000-8000-000000000001";
    const OTHER: &str = "018f4e1c-0000-7000-8000-000000000002";

    #[test]
    fn a_gateway_reaches_its_own_topics_only() {
        let gateway = Client::Gateway(OWN.parse().unwrap(), Shard(3));
        for way in ["up/hello", "up/batch", "up/result"] {
            assert!(gateway.may_publish(&format!("evb/v1/3/{OWN}/{way}")));
            assert!(!gateway.may_publish(&format!("evb/v1/3/{OTHER}/{way}")));
            assert!(!gateway.may_publish(&format!("evb/v1/4/{OWN}/{way}")));
        }
        for topic in [
            format!("evb/v1/3/{OWN}/down/ack"),
            format!("evb/v1/3/{OWN}/up/x"),
            "$SYS/x".into(),
            String::new(),
        ] {
            assert!(!gateway.may_publish(&topic), "{topic}");
        }
        for rest in ["down/+", "down/#", "down/ack"] {
            assert!(gateway.may_subscribe(&format!("evb/v1/3/{OWN}/{rest}")));
            assert!(!gateway.may_subscribe(&format!("evb/v1/3/{OTHER}/{rest}")));
        }
        for filter in [
            "#".into(),
            "+/#".into(),
            "evb/v1/3/+/down/#".into(),
            format!("evb/v1/3/{OWN}/#"),
            format!("evb/v1/3/{OWN}/up/+"),
            format!("evb/v1/3/{OWN}/down/+/x"),
            format!("$share/g/evb/v1/3/{OWN}/down/+"),
        ] {
            assert!(!gateway.may_subscribe(&filter), "{filter}");
        }
    }

    #[test]
    fn a_replica_hears_shards_and_talks_down() {
        assert!(Client::Replica.may_subscribe("evb/v1/15/+/up/+"));
        assert!(!Client::Replica.may_subscribe("evb/v1/16/+/up/+"));
        assert!(!Client::Replica.may_subscribe("$share/g/evb/v1/1/+/up/+"));
        assert!(Client::Replica.may_publish(&format!("evb/v1/3/{OWN}/down/ack")));
        assert!(!Client::Replica.may_publish(&format!("evb/v1/3/{OWN}/up/batch")));
    }
}
