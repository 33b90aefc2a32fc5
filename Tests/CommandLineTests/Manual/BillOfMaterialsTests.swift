import Foundation
import Testing

@testable import culvert_package

/// The software bill of materials of a release.
@Suite("Bill of materials")
struct BillOfMaterialsTests {
    /// A package that two others need, in a tree that names the build's folder.
    private static func tree(_ folder: String) -> Data {
        let shared = package("c", [])
        return Data(
            """
            {"identity": "\(folder)", "name": "culvert", "url": "/\(folder)", "version": "unspecified", "path": "/\(folder)",
             "dependencies": [\(package("b", [shared])), \(package("a", [shared]))]}
            """.utf8
        )
    }

    private static func package(_ name: String, _ dependencies: [String]) -> String {
        """
        {"identity": "\(name)", "name": "\(name)", "url": "https://host/\(name).git", "version": "1.2.3", "path": "/x",
         "dependencies": [\(dependencies.joined(separator: ","))]}
        """
    }

    private static func bill(_ folder: String) throws -> Data {
        try BillOfMaterials(
            version: "1.0.0",
            time: "2026-01-31T12:00:00Z",
            dependencies: tree(folder),
            resolved: Data(#"{"pins": [{"identity": "a", "state": {"revision": "abc", "version": "1.2.3"}}]}"#.utf8),
            others: [("zlib", "1.3")]
        ).json
    }

    @Test("the folder of the build is not in it")
    func folder() throws {
        #expect(try Self.bill("one") == Self.bill("another"))
    }

    @Test("it lists each library once, in order, with its place and its revision")
    func components() throws {
        let json = try #require(try JSONSerialization.jsonObject(with: Self.bill("one")) as? [String: Any])
        let components = try #require(json["components"] as? [[String: Any]])
        #expect(components.map { $0["name"] as? String } == ["a", "b", "c", "zlib"])
        #expect(components.first?["purl"] as? String == "pkg:swift/host/a@1.2.3")
        let properties = try #require(components.first?["properties"] as? [[String: String]])
        #expect(properties == [["name": "git:revision", "value": "abc"]])
        let dependencies = try #require(json["dependencies"] as? [[String: Any]])
        #expect(dependencies.first?["ref"] as? String == "culvert")
        #expect(dependencies.first?["dependsOn"] as? [String] == ["a", "b", "zlib"])
        #expect(dependencies.first { $0["ref"] as? String == "b" }?["dependsOn"] as? [String] == ["c"])
    }
}
