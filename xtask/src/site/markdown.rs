//! What pages in Markdown have in them: links, headings, blocks of code.

use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// A link, or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Where it leads, as it is written.
    pub(super) destination: String,
    /// Its place in the page.
    pub(super) whole: Range<usize>,
    /// The place of what readers see of it.
    pub(super) text: Range<usize>,
    /// Whether the destination stands in it, and not elsewhere in the page.
    pub(super) inline: bool,
}

/// All links of a page, in order.
pub(super) fn links(page: &str) -> Vec<Link> {
    let mut done = Vec::new();
    let mut open: Vec<Link> = Vec::new();
    for (event, place) in events(page) {
        match event {
            Event::Start(
                Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. },
            ) => {
                grow(&mut open, &place);
                open.push(Link {
                    destination: dest_url.into_string(),
                    text: place.end..place.start,
                    whole: place,
                    inline: link_type == LinkType::Inline,
                });
            }
            Event::End(TagEnd::Link | TagEnd::Image) => done.extend(open.pop()),
            _ => grow(&mut open, &place),
        }
    }
    done.sort_by_key(|link| link.whole.start);
    done
}

/// What is inside of a link belongs to its text.
fn grow(open: &mut [Link], place: &Range<usize>) {
    for link in open {
        link.text = link.text.start.min(place.start)..link.text.end.max(place.end);
    }
}

/// The anchors of a page: those of its headings, as code hosts and mdBook make them.
pub(super) fn anchors(page: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut known = BTreeMap::<String, usize>::new();
    for heading in headings(page) {
        let anchor = anchor(&heading);
        let before = known.entry(anchor.clone()).or_default();
        anchors.push(match *before {
            0 => anchor,
            n => format!("{anchor}-{n}"),
        });
        *before += 1;
    }
    anchors
}

/// The first heading of a page, without its marks.
pub(super) fn title(page: &str) -> Option<String> {
    headings(page).into_iter().next()
}

/// The content of all blocks of code in one language.
pub(super) fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let mut blocks = Vec::new();
    let mut inside = None::<Range<usize>>;
    for (event, place) in events(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info)))
                if info == CowStr::from(language) =>
            {
                inside = Some(place.end..place.start);
            }
            Event::Text(_) => {
                inside = inside.map(|range| range.start.min(place.start)..range.end.max(place.end));
            }
            Event::End(TagEnd::CodeBlock) => {
                blocks.extend(inside.take().and_then(|range| page.get(range)));
            }
            _ => {}
        }
    }
    blocks
}

fn headings(page: &str) -> Vec<String> {
    let mut headings = Vec::new();
    let mut heading = None::<String>;
    for (event, _) in events(page) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => headings.extend(heading.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    headings
}

fn anchor(heading: &str) -> String {
    let lower = heading.trim().to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn events(page: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    Parser::new_ext(page, Options::ENABLE_TABLES).into_offset_iter()
}

#[cfg(test)]
mod tests {
    use super::{anchors, blocks, links, title};

    #[test]
    fn links_and_their_text() {
        let page = "# A\n\n[`b` c](d.md#e) ![f](g.svg)\n\n| [h](i/) |\n|---|\n| [j][k] |\n\n```\n[l](m)\n```\n\n[k]: n\n";
        let links = links(page);
        let found: Vec<(&str, &str, bool)> = links
            .iter()
            .map(|link| (&page[link.text.clone()], link.destination.as_str(), link.inline))
            .collect();
        assert_eq!(
            found,
            [("`b` c", "d.md#e", true), ("f", "g.svg", true), ("h", "i/", true), ("j", "n", false)]
        );
        assert_eq!(&page[links[0].whole.clone()], "[`b` c](d.md#e)");
    }

    #[test]
    fn anchors_as_code_hosts_make_them() {
        let page = "# The `x_y` file, v1.2\n## Not there yet\n### Not there yet\n```\n# no\n```\n";
        assert_eq!(anchors(page), ["the-x_y-file-v12", "not-there-yet", "not-there-yet-1"]);
        assert_eq!(title(page).as_deref(), Some("The x_y file, v1.2"));
    }

    #[test]
    fn blocks_of_one_language() {
        let page = "```yaml\na: 1\n\nb: 2\n```\n```json\n{}\n```\n```yaml\nc: 3\n```\n";
        assert_eq!(blocks(page, "yaml"), ["a: 1\n\nb: 2\n", "c: 3\n"]);
    }
}
