import HTTP1

/// Extracts the most informative line of an error page.
public enum PageExcerpt {
    /// Returns false for an unreadable body, such as a compressed page or an image, which is not waited for.
    static func isReadable(_ fields: HeaderFields) -> Bool {
        guard fields.list("Content-Encoding").allSatisfy({ $0.lowercased() == "identity" }) else { return false }
        guard let type = fields.first("Content-Type")?.lowercased() else { return true }
        return type.hasPrefix("text/") || ["json", "xml", "html"].contains { type.contains($0) }
    }

    /// Returns the text of `<title>`, otherwise the first line with text outside tags; nil if there is none.
    public static func line(of page: some Collection<UInt8>, hiding secrets: [String] = []) -> String? {
        let bytes = Array(page)
        let text = title(bytes).flatMap { firstLine($0) } ?? firstLine(withoutTags(bytes))
        return text.map { String(decoding: $0, as: UTF8.self).hiding(secrets).escapedForDisplay() }
    }

    private static func title(_ bytes: [UInt8]) -> [UInt8]? {
        let open = Array("<title".utf8)
        guard
            let start = bytes.indices.first(where: { index in
                bytes[index...].prefix(open.count).elementsEqual(open) { $0 == $1 || $0 | 0x20 == $1 }
            }), let end = bytes[start...].firstIndex(of: UInt8(ascii: ">"))
        else { return nil }
        let content = bytes[end...].dropFirst().prefix { $0 != UInt8(ascii: "<") }
        // A title may span several lines.
        return content.map { $0 == 0x0A || $0 == 0x0D ? UInt8(ascii: " ") : $0 }
    }

    private static func withoutTags(_ bytes: [UInt8]) -> [UInt8] {
        var isInTag = false
        return bytes.filter { byte in
            if byte == UInt8(ascii: "<") { isInTag = true }
            defer { if byte == UInt8(ascii: ">") { isInTag = false } }
            return !isInTag
        }
    }

    /// Returns the first line that is not blank, trimmed.
    private static func firstLine(_ bytes: [UInt8]) -> [UInt8]? {
        for line in bytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            guard let first = line.firstIndex(where: { !isBlank($0) }),
                let last = line.lastIndex(where: { !isBlank($0) })
            else { continue }
            return Array(line[first...last])
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
