/// The passwords of a name's visitors: one verifier for each user.
public struct VisitorPasswords: Sendable, Hashable {
    /// Bytes of all lines, with one for each. They travel in one frame.
    public static let longest = 1_536

    private let byUser: [String: VisitorPassword]
    /// The lines in their order.
    public let lines: [String]
    /// The rounds of each check.
    let work: Int

    /// Reads lines.
    ///
    /// - Throws: the reason with the number of the line.
    public init(lines: [String]) throws(VisitorPassword.Unsuitable) {
        try self.init(numbered: lines.enumerated().map { ($0.offset + 1, $0.element) })
    }

    /// Reads a file: a line for each user, with empty lines and comments that begin with `#`.
    ///
    /// - Throws: the reason with the number of the line.
    public init(file text: String) throws(VisitorPassword.Unsuitable) {
        var numbered: [(Int, String)] = []
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in lines.enumerated() {
            let bytes = line.utf8.drop { $0 == 0x20 || $0 == 0x09 }
            let trimmed = bytes.reversed().drop { $0 == 0x20 || $0 == 0x09 }.reversed()
            guard let first = trimmed.first, first != UInt8(ascii: "#") else { continue }
            numbered.append((index + 1, String(decoding: Array(trimmed), as: UTF8.self)))
        }
        guard !numbered.isEmpty else {
            throw VisitorPassword.Unsuitable(description: "it has no line; make one with `culvert password USER`")
        }
        try self.init(numbered: numbered)
    }

    private init(numbered: [(number: Int, text: String)]) throws(VisitorPassword.Unsuitable) {
        var byUser: [String: VisitorPassword] = [:]
        var (room, work) = (Self.longest, 0)
        for (number, text) in numbered {
            func unsuitable(_ reason: String) -> VisitorPassword.Unsuitable {
                VisitorPassword.Unsuitable(description: "line \(number): \(reason)")
            }
            let password: VisitorPassword
            do throws(VisitorPassword.Unsuitable) {
                password = try VisitorPassword(line: text)
            } catch {
                throw unsuitable(error.description)
            }
            guard byUser.updateValue(password, forKey: password.user) == nil else {
                throw unsuitable("the user \(password.user) has a line already")
            }
            room -= text.utf8.count + 1
            guard room >= 0 else { throw unsuitable("all lines together have more than \(Self.longest) bytes") }
            work = max(work, password.rounds)
        }
        self.byUser = byUser
        self.work = max(work, VisitorPassword.rounds.lowerBound)
        lines = numbered.map(\.text)
    }

    /// The verifier of a user, or one that no password fulfils and that takes the same time.
    func verifier(of user: String) -> VisitorPassword { byUser[user] ?? VisitorPassword(decoyOf: work) }
}
