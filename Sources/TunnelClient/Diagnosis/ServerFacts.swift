import TunnelCore

/// The server's answer to a `facts` probe (protocol page, section 10).
struct ServerFacts: Sendable, Equatable {
    /// The longest answer that is read, bytes.
    static let longestText = 16_384

    private var values: [String: String] = [:]
    /// The state of each port that was asked for: `free`, `own`, `taken` or `denied`.
    private(set) var ports: [String: String] = [:]

    /// Reads the lines of an answer. A line without a colon is ignored.
    init(_ text: String) {
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = String(line[..<colon])
            let value = String(line[line.index(after: colon)...].drop { $0 == " " }).escapedForDisplay(limit: 300)
            if name == "port" {
                let parts = value.split(separator: " ")
                if parts.count == 2 { ports[String(parts[0])] = String(parts[1]) }
            } else if values[name] == nil {
                values[name] = value
            }
        }
    }

    /// Takes the ports of another answer.
    mutating func add(portsOf other: ServerFacts) {
        ports.merge(other.ports) { first, _ in first }
    }

    /// The value of a name; empty if the server does not say it.
    subscript(name: String) -> String { values[name] ?? "" }

    /// A number; nil if the server does not say it, or if it is none that a server would say.
    func number(_ name: String) -> Int64? {
        values[name].flatMap { Int64($0) }.flatMap { (0...Self.largestNumber).contains($0) ? $0 : nil }
    }

    /// Larger than any time and rate.
    private static let largestNumber: Int64 = 1 << 53
}
