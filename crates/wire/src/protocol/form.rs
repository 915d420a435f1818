use crate::Fault;
use crate::members::Tree;

/// Most parameters in one form.
const PARAMETERS_MAX: usize = 10_000;

/// Most dots in one parameter's name.
const DEPTH_MAX: usize = 24;

/// Turns `Tags.member.1.Key=a` into a tree of names. Whether `member.1` is a list or `entry.1` a
/// map is decided when a shape reads the tree.
pub(crate) fn unflatten(form: &[u8]) -> Result<Tree, Fault> {
    let mut root = Tree::empty();
    for (count, (name, value)) in form_urlencoded::parse(form).enumerate() {
        if count >= PARAMETERS_MAX {
            return Err(malformed("Too many parameters."));
        }
        if name.split('.').count() > DEPTH_MAX {
            return Err(malformed("A parameter name is nested too deeply."));
        }
        let mut node = &mut root;
        for part in name.split('.') {
            node = node.child(part);
        }
        node.set_text(value.into_owned());
    }
    Ok(root)
}

fn malformed(message: &str) -> Fault {
    Fault::client("MalformedInput", 400, message)
}
