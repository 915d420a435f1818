use functions::{Mapping, MappingSource, SourceKind};
use wire::Fault;

use crate::fault::conflict;
use crate::name::Target;

/// What the refusal of a mapping that is there already tells of the new one.
pub(super) struct Twin {
    kind: Option<SourceKind>,
    source: String,
    name: String,
    function: String,
    topics: String,
}

impl Twin {
    pub(super) fn of(mapping: &Mapping, target: &Target) -> Twin {
        Twin {
            kind: mapping.source.kind(),
            source: match &mapping.source {
                MappingSource::Arn(arn) => arn.clone(),
                MappingSource::Kafka(servers) => servers.join(","),
            },
            name: target.name.clone(),
            function: mapping.function.clone(),
            topics: mapping.settings.topics.join(","),
        }
    }

    pub(super) fn refused(&self, uuid: &str) -> Fault {
        let Twin {
            source,
            name,
            function,
            topics,
            ..
        } = self;
        let what = match self.kind {
            Some(SourceKind::Queue) => format!(
                "An event source mapping with SQS arn (\" {source} \") and function (\" {name} \") already exists."
            ),
            Some(SourceKind::SelfManagedKafka | SourceKind::ManagedKafka) => format!(
                "An event source mapping with event source (\"{source}\"), function (\"{function}\"), topics (\"{topics}\") already exists."
            ),
            _ => format!(
                "The event source arn (\" {source} \") and function (\" {name} \") provided mapping already exists."
            ),
        };
        conflict(format!(
            "{what} Please update or delete the existing mapping with UUID {uuid}"
        ))
    }
}
