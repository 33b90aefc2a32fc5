import ByteText
import Crypto

/// The dashboard's page: one document, with its style and its script inside.
///
/// The page needs no cookie, and everything else does. So it cannot load further files, and the policy names its style and
/// its script by their hashes.
struct DashboardPage {
    /// The limit of the document in bytes.
    static let maximumBytes = 40_000

    /// The document.
    let document: [UInt8]
    /// Its Content-Security-Policy.
    let policy: String

    /// The page of this executable.
    static let own = DashboardPage(
        page: PackageResources.page_html,
        style: PackageResources.style_css,
        script: PackageResources.script_js
    )

    /// Puts a style and a script into a document, in place of the words STYLE and SCRIPT.
    init(page: [UInt8], style: [UInt8], script: [UInt8]) {
        let (style, script) = (Self.withoutIndents(style), Self.withoutIndents(script))
        let page = Self.withoutIndents(page)
        let parts = page.split(separator: "<style>STYLE</style>", maxSplits: 1).map(String.init)
        precondition(parts.count == 2, "the page has no place for a style")
        let ends = parts[1].split(separator: "<script>SCRIPT</script>", maxSplits: 1).map(String.init)
        precondition(ends.count == 2, "the page has no place for a script")
        document = Array("\(parts[0])<style>\(style)</style>\(ends[0])<script>\(script)</script>\(ends[1])".utf8)
        policy = [
            "default-src 'none'", "script-src 'sha256-\(Self.hash(script))'", "style-src 'sha256-\(Self.hash(style))'",
            "img-src data:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
            "require-trusted-types-for 'script'", "trusted-types 'none'",
        ].joined(separator: "; ")
    }

    private static func hash(_ text: String) -> String {
        Base64.encoded(Array(SHA256.hash(data: Array(text.utf8))))
    }

    /// The text without indents, empty lines and lines that are comments.
    private static func withoutIndents(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { $0.drop { $0 == " " } }
            .filter { !$0.isEmpty && !$0.hasPrefix("//") }.joined(separator: "\n")
    }
}
