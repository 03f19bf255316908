//! The page at `/`: the files of `gateway/client/` that browsers need, inside the binary. No build step, no folder to
//! deploy beside it, nothing a path could escape from: a file is served if it is in the table below.

use crate::{
    http::{Ctx, Outcome, PAGE_POLICY, Reply, etag::ETag, full},
    router::{Access, Table},
};
use ::http::{HeaderValue, Response, header};
use std::{collections::HashMap, sync::LazyLock};

/// One file: its address, its type, its bytes.
struct File {
    path: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($path:literal $name:literal $media:ident;)+) => {
        &[$(File { path: $path, media: $media, bytes: include_bytes!(concat!("../../gateway/client/", $name)) }),+]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Every file meant for browsers; a test compares the list with the folder.
const FILES: &[File] = files! {
    "/" "index.html" HTML;
    "/app.js" "app.js" JS;
    "/pitchey.js" "pitchey.js" JS;
    "/style.css" "style.css" CSS;
    "/icon.svg" "icon.svg" SVG;
    "/demo/api.js" "demo/api.js" JS;
    "/demo/catalogue.js" "demo/catalogue.js" JS;
    "/demo/conversations.js" "demo/conversations.js" JS;
    "/demo/desk.css" "demo/desk.css" CSS;
    "/demo/desk.js" "demo/desk.js" JS;
    "/demo/dom.js" "demo/dom.js" JS;
    "/demo/entrance.js" "demo/entrance.js" JS;
    "/demo/notifications.js" "demo/notifications.js" JS;
    "/demo/panels.css" "demo/panels.css" CSS;
    "/demo/people.js" "demo/people.js" JS;
    "/demo/proof.js" "demo/proof.js" JS;
    "/demo/reel.js" "demo/reel.js" JS;
    "/demo/slate.js" "demo/slate.js" JS;
    "/demo/thread.js" "demo/thread.js" JS;
};

/// Tags by address: the bytes never change while the process lives.
static TAGS: LazyLock<HashMap<&'static str, ETag>> =
    LazyLock::new(|| FILES.iter().map(|file| (file.path, ETag::of(file.bytes))).collect());

/// Adds a line per file to the table.
pub(crate) fn routes(table: Table) -> Table {
    FILES.iter().fold(table, |table, file| table.get(file.path, Access::Open, serve))
}

async fn serve(ctx: Ctx) -> Outcome {
    let path = ctx.head.uri.path();
    let file = FILES.iter().find(|file| file.path == path).ok_or(crate::http::ApiError::NotFound("Address"))?;
    let mut answer = Response::new(full(file.bytes));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    // Asked for again each time and answered 304: a new release shows at once.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    Ok(Reply::raw(answer).etag(TAGS[file.path].clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    #[test]
    fn every_file_for_browsers_is_in_the_table_and_no_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/client");
        let mut on_disk = BTreeSet::new();
        for place in ["", "demo/"] {
            for entry in folder.join(place).read_dir().unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let wanted = [".html", ".js", ".css", ".svg"].iter().any(|kind| name.ends_with(kind));
                if wanted {
                    on_disk.insert(format!("/{place}{}", if name == "index.html" { "" } else { &name }));
                }
            }
        }
        let served: BTreeSet<_> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(served, on_disk);
    }
}
