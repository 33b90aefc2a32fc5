import Foundation

/// The software bill of materials of a release, in CycloneDX 1.5. The same input gives the same bytes.
struct BillOfMaterials {
    /// A package in the output of `swift package show-dependencies --format json`.
    private struct Package: Decodable {
        let identity: String
        let url: String
        let version: String
        let dependencies: [Package]
    }

    private struct Resolved: Decodable {
        struct Pin: Decodable {
            struct State: Decodable {
                let revision: String
            }

            let identity: String
            let state: State
        }

        let pins: [Pin]
    }

    private struct Document: Encodable {
        struct Property: Encodable {
            let name: String
            let value: String
        }

        struct Component: Encodable {
            var type = "library"
            var bomRef: String
            var name: String
            var version: String
            var purl: String?
            var properties: [Property]?

            enum CodingKeys: String, CodingKey {
                case type, name, version, purl, properties
                case bomRef = "bom-ref"
            }
        }

        struct Metadata: Encodable {
            let timestamp: String
            let component: Component
        }

        struct Dependency: Encodable {
            let ref: String
            let dependsOn: [String]
        }

        let bomFormat = "CycloneDX"
        let specVersion = "1.5"
        let version = 1
        let metadata: Metadata
        let components: [Component]
        let dependencies: [Dependency]

        enum CodingKeys: String, CodingKey {
            case bomFormat, specVersion, version, metadata, components, dependencies
        }
    }

    private let document: Document

    /// - Parameters:
    ///   - version: the release.
    ///   - time: the time of its last commit, `2026-01-31T12:00:00Z`.
    ///   - dependencies: the output of `swift package show-dependencies --format json`.
    ///   - resolved: the content of Package.resolved, for the revisions.
    ///   - others: libraries that are no packages, with their versions.
    init(version: String, time: String, dependencies: Data, resolved: Data, others: [(name: String, version: String)])
        throws
    {
        let root = try JSONDecoder().decode(Package.self, from: dependencies)
        let pins = try JSONDecoder().decode(Resolved.self, from: resolved).pins
        let revisions = Dictionary(pins.map { ($0.identity, $0.state.revision) }) { first, _ in first }
        var packages: [String: Package] = [:]
        func collect(_ package: Package) {
            for dependency in package.dependencies where packages[dependency.identity] == nil {
                packages[dependency.identity] = dependency
                collect(dependency)
            }
        }
        collect(root)
        let sorted = packages.values.sorted { $0.identity < $1.identity }
        let main = Document.Component(type: "application", bomRef: "culvert", name: "culvert", version: version)
        let libraries = others.map { other in
            Document.Component(bomRef: other.name, name: other.name, version: other.version)
        }
        document = Document(
            metadata: Document.Metadata(timestamp: time, component: main),
            components: sorted.map { Self.component($0, revisions[$0.identity]) } + libraries,
            dependencies: [
                Document.Dependency(
                    ref: "culvert",
                    dependsOn: root.dependencies.map(\.identity).sorted() + libraries.map(\.bomRef)
                )
            ]
                + sorted.map { package in
                    Document.Dependency(ref: package.identity, dependsOn: package.dependencies.map(\.identity).sorted())
                }
        )
    }

    private static func component(_ package: Package, _ revision: String?) -> Document.Component {
        let place = package.url.split(separator: "://").last.map(String.init) ?? package.url
        return Document.Component(
            bomRef: package.identity,
            name: package.identity,
            version: package.version,
            purl: "pkg:swift/\(place.hasSuffix(".git") ? String(place.dropLast(4)) : place)@\(package.version)",
            properties: revision.map { [Document.Property(name: "git:revision", value: $0)] }
        )
    }

    /// The document, with a line end.
    var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(document) + Data("\n".utf8)
        }
    }
}
