//! Which operation a method and path name.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// Most segments of a path that is looked at.
const SEGMENTS_MAX: usize = 32;

/// Most parameters of a query that are looked at.
const PARAMETERS_MAX: usize = 256;

/// Method, path and query of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    source: &'static str,
    segments: Vec<Segment>,
    /// Parameter → member.
    parameters: Vec<(&'static str, &'static str)>,
    /// Parameters that must be there with this value.
    required: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Segment {
    Literal(&'static str),
    Label(&'static str),
    Greedy(&'static str),
}

impl Route {
    /// Reads a route as services write them.
    ///
    /// # Panics
    ///
    /// If the text is no path; a service is wired before the first request.
    pub(crate) fn parse(method: Method, source: &'static str) -> Route {
        let (path, query) = source.split_once('?').unwrap_or((source, ""));
        assert!(path.starts_with('/'), "{source} is no path");
        let segments: Vec<Segment> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| match label(part) {
                Some(name) => match name.strip_suffix('+') {
                    Some(name) => Segment::Greedy(name),
                    None => Segment::Label(name),
                },
                None => Segment::Literal(part),
            })
            .collect();
        let greedy = segments
            .iter()
            .position(|s| matches!(s, Segment::Greedy(_)));
        assert!(
            greedy.is_none_or(|at| at + 1 == segments.len()),
            "{source}: a greedy label must be last"
        );
        let mut parameters = Vec::new();
        let mut required = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None => parameters.push((part, part)),
                Some((name, value)) => match label(value) {
                    Some(member) => parameters.push((name, member)),
                    None => required.push((name, value)),
                },
            }
        }
        Route {
            method,
            source,
            segments,
            parameters,
            required,
        }
    }

    /// The members that path and query give. `labels` are the raw segments that labels stand for.
    pub(crate) fn members(&self, labels: &[&str], query: &Query<'_>) -> Map<String, Value> {
        let mut members = Map::new();
        let names = self.segments.iter().filter_map(|segment| match segment {
            Segment::Label(name) | Segment::Greedy(name) => Some(*name),
            Segment::Literal(_) => None,
        });
        for (name, raw) in names.zip(labels) {
            members.insert(name.to_owned(), Value::String(decode(raw).into_owned()));
        }
        for (parameter, member) in &self.parameters {
            let mut values = query.all(parameter);
            let Some(first) = values.next() else { continue };
            let first = Value::String(first.to_owned());
            let rest: Vec<Value> = values.map(Value::from).collect();
            let value = if rest.is_empty() {
                first
            } else {
                Value::Array(std::iter::once(first).chain(rest).collect())
            };
            members.insert((*member).to_owned(), value);
        }
        members
    }

    pub(crate) fn describe(&self) -> Value {
        json!({
            "method": self.method.as_str(),
            "path": self.source.split('?').next(),
            "labels": self.segments.iter().filter_map(|s| match s {
                Segment::Label(name) | Segment::Greedy(name) => Some(*name),
                Segment::Literal(_) => None,
            }).collect::<Vec<_>>(),
            "query": self.parameters.iter().map(|(p, m)| json!({"parameter": p, "member": m}))
                .collect::<Vec<_>>(),
            "required": self.required,
        })
    }
}

fn label(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn decode(raw: &str) -> Cow<'_, str> {
    percent_decode_str(raw).decode_utf8_lossy()
}

/// The parameters of a request, decoded once.
#[derive(Debug, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn parse(raw: Option<&'a str>) -> Query<'a> {
        match raw {
            None | Some("") => Query::default(),
            Some(raw) => Query(
                form_urlencoded::parse(raw.as_bytes())
                    .take(PARAMETERS_MAX)
                    .collect(),
            ),
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_ref())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|v| v == value)
    }
}

/// All routes of a service, as a tree of path segments.
#[derive(Debug, Default)]
pub(crate) struct Routes(Node);

#[derive(Debug, Default)]
struct Node {
    literals: Vec<(&'static str, Node)>,
    label: Option<Box<Node>>,
    /// Routes that end here.
    ends: Vec<End>,
    /// Routes whose greedy label begins here.
    greedy: Vec<End>,
}

#[derive(Debug)]
struct End {
    method: Method,
    required: Vec<(&'static str, &'static str)>,
    operation: usize,
}

impl Routes {
    pub(crate) fn insert(&mut self, route: &Route, operation: usize) {
        let end = End {
            method: route.method.clone(),
            required: route.required.clone(),
            operation,
        };
        let mut node = &mut self.0;
        for segment in &route.segments {
            node = match *segment {
                Segment::Literal(text) => node.literal(text),
                Segment::Label(_) => node.label.get_or_insert_default(),
                Segment::Greedy(_) => {
                    node.greedy.push(end);
                    return;
                }
            };
        }
        // The route that asks for most comes first, so that it is not hidden by a wider one.
        let at = node
            .ends
            .partition_point(|e| e.required.len() >= end.required.len());
        node.ends.insert(at, end);
    }

    /// The operation for a raw path, and the raw segments of its labels. One slash at the end is
    /// tolerated, as AWS's own older routes have it.
    pub(crate) fn find<'p>(
        &self,
        method: &Method,
        path: &'p str,
        query: &Query<'_>,
    ) -> Option<(usize, Vec<&'p str>)> {
        let path = path.strip_prefix('/')?;
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        if trimmed.is_empty() || trimmed.split('/').count() > SEGMENTS_MAX {
            return None;
        }
        let mut labels = Vec::new();
        let wanted = Wanted {
            method,
            query,
            whole: path,
        };
        let operation = self.0.find(Some(trimmed), &wanted, &mut labels)?;
        Some((operation, labels))
    }
}

struct Wanted<'w, 'p> {
    method: &'w Method,
    query: &'w Query<'w>,
    /// The path with its last slash, which a greedy label keeps.
    whole: &'p str,
}

impl Wanted<'_, '_> {
    fn choose(&self, ends: &[End]) -> Option<usize> {
        ends.iter()
            .find(|end| {
                end.method == self.method && end.required.iter().all(|(n, v)| self.query.has(n, v))
            })
            .map(|end| end.operation)
    }
}

impl Node {
    fn literal(&mut self, text: &'static str) -> &mut Node {
        let at = match self.literals.iter().position(|(t, _)| *t == text) {
            Some(at) => at,
            None => {
                self.literals.push((text, Node::default()));
                self.literals.len() - 1
            }
        };
        #[allow(clippy::indexing_slicing)] // found or pushed just above
        &mut self.literals[at].1
    }

    /// Literals win over labels, and labels over greedy ones. The depth is that of the tree.
    fn find<'p>(
        &self,
        rest: Option<&'p str>,
        wanted: &Wanted<'_, 'p>,
        labels: &mut Vec<&'p str>,
    ) -> Option<usize> {
        let Some(rest) = rest else {
            return wanted.choose(&self.ends);
        };
        let (segment, below) = match rest.split_once('/') {
            Some((segment, below)) => (segment, Some(below)),
            None => (rest, None),
        };
        let text = decode(segment);
        for (literal, node) in &self.literals {
            if *literal == text
                && let Some(found) = node.find(below, wanted, labels)
            {
                return Some(found);
            }
        }
        if let Some(node) = &self.label
            && !segment.is_empty()
        {
            labels.push(segment);
            if let Some(found) = node.find(below, wanted, labels) {
                return Some(found);
            }
            labels.pop();
        }
        let found = wanted.choose(&self.greedy)?;
        // `rest` lacks the last slash of the path; a greedy label has it.
        let start = wanted.whole.len().checked_sub(rest.len())?;
        let start = start.saturating_sub(usize::from(wanted.whole.ends_with('/')));
        labels.push(wanted.whole.get(start..)?);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(sources: &[(Method, &'static str)]) -> (Vec<Route>, Routes) {
        let all: Vec<Route> = sources
            .iter()
            .map(|(method, source)| Route::parse(method.clone(), source))
            .collect();
        let mut routes = Routes::default();
        for (index, route) in all.iter().enumerate() {
            routes.insert(route, index);
        }
        (all, routes)
    }

    /// The index of the route found and its members as JSON.
    fn find(all: &[Route], routes: &Routes, method: Method, uri: &str) -> Option<(usize, String)> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let query = Query::parse(Some(query));
        let (index, labels) = routes.find(&method, path, &query)?;
        let members = all[index].members(&labels, &query);
        Some((index, Value::Object(members).to_string()))
    }

    #[test]
    fn a_path_names_one_operation_and_its_members() {
        let (all, routes) = routes(&[
            (Method::GET, "/2015-03-31/functions?Marker&MaxItems"),
            (Method::POST, "/2015-03-31/functions"),
            (
                Method::GET,
                "/2015-03-31/functions/{FunctionName}?Qualifier",
            ),
            (Method::GET, "/2018-10-31/layers?Marker"),
            (Method::GET, "/2018-10-31/layers?find=LayerVersion&Arn"),
            (
                Method::DELETE,
                "/2017-03-31/tags/{Resource}?tagKeys={TagKeys}",
            ),
            (Method::GET, "/files/{Key+}"),
            (Method::GET, "/files/list"),
        ]);
        for (method, uri, expected) in [
            (Method::GET, "/2015-03-31/functions", Some((0, "{}"))),
            (Method::GET, "/2015-03-31/functions/", Some((0, "{}"))),
            (
                Method::GET,
                "/2015-03-31/functions/?MaxItems=7",
                Some((0, r#"{"MaxItems":"7"}"#)),
            ),
            (Method::POST, "/2015-03-31/functions/", Some((1, "{}"))),
            (Method::PUT, "/2015-03-31/functions/", None),
            (Method::GET, "/2015-03-31/functions//", None),
            (Method::GET, "/2015-03-31", None),
            (Method::GET, "/", None),
            (
                Method::GET,
                "/2015-03-31/functions/arn%3Aaws:lambda:us-east-1:0:function%3Af?Qualifier=%24LATEST",
                Some((
                    2,
                    r#"{"FunctionName":"arn:aws:lambda:us-east-1:0:function:f","Qualifier":"$LATEST"}"#,
                )),
            ),
            (
                Method::GET,
                "/2015-03-31/functions/a%2Fb",
                Some((2, r#"{"FunctionName":"a/b"}"#)),
            ),
            (Method::GET, "/2018-10-31/layers", Some((3, "{}"))),
            (
                Method::GET,
                "/2018-10-31/layers?find=LayerVersion&Arn=a",
                Some((4, r#"{"Arn":"a"}"#)),
            ),
            (
                Method::GET,
                "/2018-10-31/layers?find=Other",
                Some((3, "{}")),
            ),
            (
                Method::DELETE,
                "/2017-03-31/tags/r?tagKeys=a&tagKeys=b+c",
                Some((5, r#"{"Resource":"r","TagKeys":["a","b c"]}"#)),
            ),
            (Method::GET, "/files/a/b/", Some((6, r#"{"Key":"a/b/"}"#))),
            (Method::GET, "/files/a//b", Some((6, r#"{"Key":"a//b"}"#))),
            (Method::GET, "/files/list", Some((7, "{}"))),
            (
                Method::GET,
                "/files/list/x",
                Some((6, r#"{"Key":"list/x"}"#)),
            ),
        ] {
            let found = find(&all, &routes, method.clone(), uri);
            let found = found.as_ref().map(|(i, m)| (*i, m.as_str()));
            assert_eq!(found, expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_path_of_many_segments_is_no_route() {
        let (all, routes) = routes(&[(Method::GET, "/files/{Key+}")]);
        let long = format!("/files{}", "/a".repeat(100_000));
        assert_eq!(find(&all, &routes, Method::GET, &long), None);
    }
}
