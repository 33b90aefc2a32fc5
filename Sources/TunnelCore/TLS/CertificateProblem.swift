/// Why a peer's certificate was refused.
package enum CertificateProblem: Error, Sendable, Hashable {
    /// A certificate's place in a chain, with the name of its subject where that is a CA.
    package enum Link: Sendable, Hashable {
        /// The peer's own.
        case leaf
        /// A CA between the peer's certificate and the trusted one.
        case intermediate(String)
        /// The CA that this machine trusts.
        case anchor(String)
    }

    /// This machine has no CA that could be trusted; the text says in which files.
    case noAuthorities(String)
    /// The peer sent more certificates than are looked at.
    case tooMany(Int)
    /// The peer's certificate cannot be read.
    case unreadable
    /// It is for other names; these.
    case wrongName([String])
    /// One of the chain is not valid yet.
    case notYetValid(Link, since: String)
    /// One of the chain has expired.
    case expired(Link, on: String)
    /// The peer's certificate is signed by itself, and not trusted.
    case selfSigned
    /// The issuer is neither trusted nor among the certificates that the peer sent.
    case unknownIssuer(String)
    /// The chain is complete, and its root is not trusted.
    case unknownRoot(String)
    /// A CA of the issuer's name is known, and has not signed the certificate.
    case otherKey(String)
    /// The issuer is not known, and one of the CAs' certificates that the peer sent cannot be read.
    case unreadableIssuer(String)
    /// One of the chain is not for servers, or not for clients.
    case wrongPurpose(Link)
    /// A certificate of the chain issued another one, and may not.
    case notAnAuthority(Link)
    /// One has a critical extension that is not understood.
    case unknownExtension(Link, String)
    /// The CAs' name constraints do not allow the certificate, or cannot be compared.
    case nameConstraints

    /// Whether other CAs on this machine could mend it.
    package var isAboutAuthorities: Bool {
        switch self {
        case .noAuthorities, .selfSigned, .unknownIssuer, .unknownRoot, .otherKey, .expired(.anchor, _): true
        default: false
        }
    }

    /// The problem in words, the subject of the sentence being the peer's certificate.
    ///
    /// - Parameter owner: whose certificate it is: a host's name, or `the client`.
    package func sentence(of owner: String) -> String {
        let own = "the certificate of \(owner)"
        func subject(_ link: Link) -> String {
            switch link {
            case .leaf: own
            case .intermediate(let name): "the intermediate CA \(name), which issued \(own),"
            case .anchor(let name): "the CA \(name), to which \(own) leads,"
            }
        }
        switch self {
        case .noAuthorities(let places): return places
        case .tooMany(let most): return "\(owner) sent more than \(most) certificates"
        case .unreadable:
            return
                "\(own) cannot be read: it breaks the rules of X.509, or its key or signature is of an unusual kind, such as RSA-PSS"
        case .wrongName(let names):
            if names.isEmpty { return "the certificate is not for \(owner): it names no host" }
            return "the certificate is not for \(owner), but for \(names.joined(separator: ", "))"
        case .notYetValid(let link, let day): return "\(subject(link)) is not valid yet: its time begins on \(day)"
        case .expired(let link, let day): return "\(subject(link)) has expired on \(day)"
        case .selfSigned: return "\(own) is signed by itself, which this machine does not trust"
        case .unknownIssuer(let issuer):
            return
                "\(own) is issued by \(issuer), which this machine does not trust, and whose certificate was not sent"
        case .unknownRoot(let root): return "\(own) is issued by \(root), which this machine does not trust"
        case .otherKey(let issuer):
            return "\(own) names \(issuer) as its issuer, and the certificate of that name has not signed it"
        case .unreadableIssuer(let issuer):
            return
                "\(own) is issued by \(issuer), and a CA's certificate that was sent with it cannot be read: its key or "
                + "its signature is of an unusual kind, such as RSA-PSS"
        case .wrongPurpose(let link): return "\(subject(link)) is not for this use: its extended key usage forbids it"
        case .notAnAuthority(let link): return "\(subject(link)) may not issue certificates, or not this many in a row"
        case .unknownExtension(let link, let identifier):
            return "\(subject(link)) has the critical extension \(identifier), which culvert does not know"
        case .nameConstraints:
            return "\(own) is outside the names for which its CA may issue, or that bound cannot be checked"
        }
    }
}
