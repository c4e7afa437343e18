//! The sources as modules, and which of them names which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Modules by their path, as `wire::encode`, with their code: no comment, no text, no test.
#[derive(Debug, Default)]
pub(crate) struct Source {
    modules: BTreeMap<String, String>,
    // What the crate's root shows, and where it is.
    shown: BTreeMap<String, String>,
}

impl Source {
    pub(crate) fn of_folder(folder: &Path) -> Self {
        let mut files = Vec::new();
        collect(folder, "", &mut files);
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        Self::of_files(&files)
    }

    /// Files by their path below `src`, as `wire/encode.rs`.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Self {
        let mut source = Self::default();
        for (path, text) in files {
            let module = path.trim_end_matches(".rs").replace('/', "::");
            let is_test = ["tests", "model"].iter().any(|name| module.ends_with(&format!("::{name}")));
            if !is_test {
                source.modules.insert(module, code_of(text));
            }
        }
        let root = source.modules.remove("lib").unwrap_or_default();
        for path in uses(&root).filter_map(|path| path.strip_prefix("crate::").map(str::to_owned)) {
            if let Some((_, name)) = path.rsplit_once("::") {
                source.shown.insert(name.to_owned(), path);
            }
        }
        source
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    pub(crate) fn code(&self) -> impl Iterator<Item = (&str, &str)> {
        self.modules.iter().map(|(module, code)| (module.as_str(), code.as_str()))
    }

    /// The modules that a module names.
    pub(crate) fn named_by(&self, module: &str) -> BTreeSet<String> {
        let code = self.modules.get(module).map_or("", String::as_str);
        let paths = uses(code).chain(paths(code));
        paths.filter_map(|path| self.module_of(module, &path)).filter(|named| named != module).collect()
    }

    /// Where a path leads that stands in a module.
    fn module_of(&self, module: &str, path: &str) -> Option<String> {
        let mut inside: Vec<&str> = module.split("::").collect();
        let mut parts = path.split("::").peekable();
        if parts.next_if_eq(&"crate").is_some() {
            let is_program = inside.first() == Some(&"bin");
            inside.truncate(if is_program { 2 } else { 0 });
            if is_program {
                // What the library's root shows is not there.
            } else if let Some(shown) = parts.peek().and_then(|first| self.shown.get(*first)) {
                return self.longest(shown);
            }
        } else if parts.peek() == Some(&"super") {
            while parts.next_if_eq(&"super").is_some() {
                inside.pop();
            }
        } else {
            return None;
        }
        inside.extend(parts);
        self.longest(&inside.join("::"))
    }

    /// The longest start of a path that is a module.
    fn longest(&self, path: &str) -> Option<String> {
        let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| &path[..end])
            .filter(|start| self.modules.contains_key(*start))
            .last()
            .map(str::to_owned)
    }
}

fn collect(folder: &Path, inside: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, entry) = {
            let entry = entry.unwrap();
            (entry.path(), entry)
        };
        let name = format!("{inside}{}", entry.file_name().to_str().unwrap());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// A file up to its own tests, without what is no code.
fn code_of(text: &str) -> String {
    let is_test = |line: &str| line.starts_with("mod tests {") || line.starts_with("mod model {");
    let lines = text.lines().take_while(|line| !is_test(line));
    let code = lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let code = code.collect::<Vec<_>>().join("\n");
    // Texts name nothing. One that has an escaped quote would end early, and what follows it names nothing either.
    code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The paths of all `use`s, each in full.
fn uses(code: &str) -> impl Iterator<Item = String> {
    let starts = code.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
    starts.flat_map(|tree| spread(&tree.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// A tree of paths, one by one.
fn spread(tree: &str) -> Vec<String> {
    let Some((start, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().replace("::self", "")];
    };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for character in rest.strip_suffix('}').unwrap_or(rest).chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        match parts.last_mut() {
            Some(part) if character != ',' || depth > 0 => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| spread(&format!("{}{part}", start.trim()))).collect()
}

/// The paths that stand in expressions and types. A macro's `$crate` is where it is called.
fn paths(code: &str) -> impl Iterator<Item = String> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(move |c: char| !is_of_name(c) && c != '$');
    words.filter(|word| word.starts_with("crate::") || word.starts_with("super::")).map(str::to_owned)
}
