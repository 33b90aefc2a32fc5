/// A user name, split into user and domain.
struct NTLMAccount: Sendable, Equatable {
    let domain: String
    let user: String

    /// Splits `DOMAIN\user`. `user@domain` stays one name, which the directory accepts with an empty domain.
    init(_ name: String) {
        if let backslash = name.firstIndex(of: "\\") {
            domain = String(name[..<backslash])
            user = String(name[name.index(after: backslash)...])
        } else {
            domain = ""
            user = name
        }
    }
}

extension String {
    /// The text in little-endian UTF-16.
    var utf16Bytes: [UInt8] {
        utf16.reduce(into: []) { $0.append(littleEndian: $1) }
    }

    /// The text in upper case by Windows' rules: one scalar for each, so that a German sharp s is unchanged.
    var upperCased: String {
        var upper = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            let mapped = scalar.properties.uppercaseMapping.unicodeScalars
            upper.append(mapped.count == 1 ? mapped.first ?? scalar : scalar)
        }
        return String(upper)
    }
}
