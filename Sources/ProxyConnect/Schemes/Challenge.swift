/// One challenge of `Proxy-Authenticate` or `WWW-Authenticate` (RFC 9110, section 11.3).
public struct Challenge: Sendable, Equatable {
    /// A parameter, `name=value`.
    public struct Parameter: Sendable, Equatable {
        /// The name as received; compared without case.
        public let name: String
        /// The value, without quotes and escapes.
        public let value: String
    }

    /// The scheme's name as received; compared without case.
    public let scheme: String
    /// The only value of schemes without parameters, such as NTLM and Negotiate.
    public let token68: String?
    /// The parameters in order, including duplicates.
    public let parameters: [Parameter]

    /// Returns the value of the first parameter with a name; nil if there is none.
    public func parameter(_ name: String) -> String? {
        parameters.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// Most challenges of one answer, and most parameters of one challenge. Real proxies offer at most four schemes and
    /// send at most ten parameters.
    public static let limit = 32

    /// Parses all challenges in the values of the field, in order.
    ///
    /// Never fails. A malformed part ends the parsing of that value, and the challenges before it count. Unknown
    /// schemes are kept. Common errors of proxies are tolerated as in other clients: unquoted and empty values, missing
    /// commas between parameters, and `qop=auth,auth-int`. Each byte is read at most four times.
    public static func parse(_ values: [String]) -> [Challenge] {
        var challenges: [Challenge] = []
        for value in values {
            var reader = ChallengeReader(value)
            while challenges.count < limit, let challenge = reader.next() {
                challenges.append(challenge)
            }
        }
        return challenges
    }
}

/// Parses one field value. A comma separates parameters as well as challenges; only the token after it shows which one
/// follows.
private struct ChallengeReader {
    private let bytes: [UInt8]
    private var position = 0
    private var isMalformed = false

    init(_ value: String) {
        bytes = Array(value.utf8)
    }

    mutating func next() -> Challenge? {
        guard !isMalformed else { return nil }
        skip(\.isSeparator)
        guard let scheme = token() else { return nil }
        guard peek?.isBlank == true else {
            // Only a comma or the end may follow a scheme without parameters.
            if peek != nil, peek != UInt8(ascii: ",") { isMalformed = true }
            return Challenge(scheme: scheme, token68: nil, parameters: [])
        }
        skip(\.isBlank)
        if let token = token68() {
            return Challenge(scheme: scheme, token68: token, parameters: [])
        }
        return Challenge(scheme: scheme, token68: nil, parameters: readParameters())
    }

    private mutating func readParameters() -> [Challenge.Parameter] {
        var parameters: [Challenge.Parameter] = []
        while parameters.count < Challenge.limit {
            let start = position
            skip(\.isBlank)
            let hasComma = peek == UInt8(ascii: ",")
            skip(\.isSeparator)
            guard peek != nil else { return parameters }
            guard let name = token() else { break }
            skip(\.isBlank)
            guard peek == UInt8(ascii: "=") else {
                // A token without "=" is the next challenge's scheme, or a fault inside this one.
                guard hasComma || parameters.isEmpty else { break }
                position = start
                return parameters
            }
            position += 1
            skip(\.isBlank)
            guard let value = value(of: name) else { break }
            parameters.append(Challenge.Parameter(name: name, value: value))
            guard peek == nil || peek == UInt8(ascii: ",") || peek?.isBlank == true else { break }
        }
        isMalformed = true
        return parameters
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skip(_ isSkipped: (UInt8) -> Bool) {
        while let byte = peek, isSkipped(byte) { position += 1 }
    }

    private mutating func take(_ isTaken: (UInt8) -> Bool) -> String? {
        let start = position
        skip(isTaken)
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    private mutating func token() -> String? { take(\.isTokenCharacter) }

    /// Returns a parameter's value; nil for an unterminated quoted string. An unquoted value may be empty and may
    /// contain more than a token, since some proxies forget the quotes.
    private mutating func value(of name: String) -> String? {
        let isQuoted = peek == UInt8(ascii: "\"")
        let first = isQuoted ? quotedString() : take { !$0.isSeparator && $0 != UInt8(ascii: "\"") } ?? ""
        guard var value = first, name.lowercased() == "qop" else { return first }
        while let more = furtherProtection() { value += ",\(more)" }
        return value
    }

    /// Returns the next element of an unquoted list of qualities of protection. No scheme has such a name.
    private mutating func furtherProtection() -> String? {
        let start = position
        skip(\.isSeparator)
        if let word = token() {
            let lowered = word.lowercased()
            let end = position
            skip(\.isBlank)
            if lowered == "auth" || lowered.hasPrefix("auth-"), peek != UInt8(ascii: "=") {
                position = end
                return word
            }
        }
        position = start
        return nil
    }

    /// Returns whether another parameter follows, not a challenge or the end.
    private func isBeforeParameter() -> Bool {
        var ahead = self
        ahead.skip(\.isSeparator)
        guard ahead.token() != nil else { return false }
        ahead.skip(\.isBlank)
        return ahead.peek == UInt8(ascii: "=")
    }

    /// Returns a `token68` if nothing else precedes the next comma or the end. `opaque=` resembles one but is a
    /// parameter if others follow.
    private mutating func token68() -> String? {
        let start = position
        let text = take(\.isToken68Character)
        let padding = take { $0 == UInt8(ascii: "=") } ?? ""
        skip(\.isBlank)
        guard let text, peek == nil || peek == UInt8(ascii: ","), padding != "=" || !isBeforeParameter() else {
            position = start
            return nil
        }
        return text + padding
    }

    private mutating func quotedString() -> String? {
        var value: [UInt8] = []
        position += 1
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                return String(decoding: value, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = peek else { return nil }
                value.append(escaped)
                position += 1
            default:
                value.append(byte)
            }
        }
        return nil
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }

    fileprivate var isSeparator: Bool { self == UInt8(ascii: ",") || isBlank }

    private var isAlphanumeric: Bool {
        let lowered = self | 0x20
        return (lowered >= UInt8(ascii: "a") && lowered <= UInt8(ascii: "z"))
            || (self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9"))
    }

    fileprivate var isTokenCharacter: Bool { isAlphanumeric || "!#$%&'*+-.^_`|~".utf8.contains(self) }

    fileprivate var isToken68Character: Bool { isAlphanumeric || "-._~+/".utf8.contains(self) }
}
