import NetworkAddress
import TunnelCore

/// The parts of ssh's forms, which `-R`, `-L` and `-D` share.
enum ForwardText {
    /// `8022` or `8000-8010`.
    static func portRange(_ text: Substring) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let first = ends.first.flatMap(Port.parse), let last = ends.last.flatMap(Port.parse),
            first <= last
        else { return nil }
        return first...last
    }

    /// Whether a text is a name, or an address in the form that all readers take for the same. `127.1`, `0x7f.1` and
    /// `0177.0.0.1` are not.
    static func isHost(_ text: Substring) -> Bool {
        guard text.contains(":") else { return HostName.normalized(String(text)) != nil }
        // A link-local address may have the name of its link.
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])), case .v6 = address else { return false }
        return parts.count == 1 || HostName.normalized("if-" + parts[1]) != nil
    }

    /// Removes `/udp` behind the last part, unless that is a path.
    static func takeTransport(_ parts: inout [Substring]) -> StreamTransport {
        guard let last = parts.last, !last.hasPrefix("/"), last.hasSuffix("/udp") else { return .tcp }
        parts[parts.count - 1] = last.dropLast("/udp".count)
        return .udp
    }

    /// Splits at colons outside brackets, and removes the brackets.
    static func parts(_ text: String) -> [Substring]? {
        var parts: [Substring] = []
        var rest = Substring(text)
        while true {
            if rest.hasPrefix("[") {
                guard let end = rest.firstIndex(of: "]") else { return nil }
                parts.append(rest[rest.index(after: rest.startIndex)..<end])
                rest = rest[rest.index(after: end)...]
                guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            } else {
                let end = rest.firstIndex(of: ":") ?? rest.endIndex
                parts.append(rest[..<end])
                rest = rest[end...]
            }
            if rest.isEmpty { return parts }
            rest = rest.dropFirst()
        }
    }
}
